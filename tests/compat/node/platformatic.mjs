// @platformatic/kafka, in both group protocols. zstd wants a Node that has it itself (22.15).
import {
  Admin, ConfigResourceTypes, Consumer, GroupProtocols, IncrementalAlterConfigOperationTypes, ListOffsetTimestamps, Producer,
  compressionsAlgorithms, stringDeserializers, stringSerializers
} from '@platformatic/kafka'
import { EXISTS, Inbox, UNKNOWN } from './adapter.mjs'

export async function connect(brokers) {
  return [
    new Platformatic('platformatic', brokers, { heartbeatInterval: 500, sessionTimeout: 10_000, rebalanceTimeout: 30_000 }),
    new Platformatic('platformatic of KIP-848', brokers, { groupProtocol: GroupProtocols.CONSUMER })
  ]
}

class Platformatic {
  codecs = Object.keys(compressionsAlgorithms).filter(codec => compressionsAlgorithms[codec].available)

  constructor(name, brokers, protocol) {
    Object.assign(this, { name, protocol })
    this.at = { clientId: 'platformatic', bootstrapBrokers: brokers, retryDelay: 100 }
    this.admin = new Admin(this.at)
  }

  close() {
    return this.admin.close()
  }

  async brokers() {
    return (await this.admin.metadata({ topics: [] })).brokers.size
  }

  topics() {
    return this.admin.listTopics()
  }

  async inSync(topic) {
    const { topics } = await this.admin.metadata({ topics: [topic], forceUpdate: true })
    return topics.get(topic).partitions.map(partition => partition.isr.length)
  }

  async createTopic(topic, partitions, configs = {}) {
    const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await refusedWith(EXISTS, this.admin.createTopics({ topics: [topic], partitions, replicas: 3, configs: entries }))
  }

  async deleteTopic(topic) {
    await refusedWith(UNKNOWN, this.admin.deleteTopics({ topics: [topic] }))
  }

  async config(topic, key) {
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [key] }]
    return (await this.admin.describeConfigs({ resources }))[0].configs[0].value
  }

  async setConfig(topic, name, value) {
    const configs = [{ name, configOperation: IncrementalAlterConfigOperationTypes.SET, value }]
    await this.admin.incrementalAlterConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }] })
  }

  async ends(topic) {
    const count = (await this.inSync(topic)).length
    const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp: ListOffsetTimestamps.LATEST }))
    const [found] = await this.admin.listOffsets({ topics: [{ name: topic, partitions }] })
    return found.partitions.map(({ offset }) => Number(offset))
  }

  async produce(topic, compression, records) {
    const producer = new Producer({ ...this.at, serializers: stringSerializers, idempotent: true, acks: -1 })
    const { offsets } = await producer.send({ compression, messages: records.map(record => ({ topic, ...record })) })
    await producer.close()
    return Object.fromEntries(offsets.map(({ partition, offset }) => [partition, Number(offset)]))
  }

  async groups() {
    return [...(await this.admin.listGroups({ types: ['classic', 'consumer'] })).keys()]
  }

  // It describes classic groups only; of the others it lists the state.
  async describeGroup(group) {
    if (this.protocol.groupProtocol) {
      const { state } = (await this.admin.listGroups({ types: ['consumer'] })).get(group)
      return { state: state.toUpperCase(), members: state.toUpperCase() === 'STABLE' ? 1 : 0 }
    }
    const { state, members } = (await this.admin.describeGroups({ groups: [group] })).get(group)
    return { state: state.toUpperCase(), members: members.size }
  }

  async committed(group, topic, partition) {
    const [{ topics }] = await this.admin.listConsumerGroupOffsets({ groups: [group] })
    const { partitions } = topics.find(({ name }) => name === topic)
    return Number(partitions.find(({ partitionIndex }) => partitionIndex === partition).committedOffset)
  }

  async deleteGroup(group) {
    await this.admin.deleteGroups({ groups: [group] })
  }

  async join(groupId, topic) {
    const consumer = new Consumer({ ...this.at, groupId, deserializers: stringDeserializers, maxWaitTime: 100, ...this.protocol })
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
    const inbox = new Inbox()
    stream.on('data', ({ partition, offset, key, value }) => inbox.put({ partition, offset: Number(offset), key, value }))
    stream.on('error', error => inbox.fail(error))
    return {
      assigned: () => consumer.assignments?.find(assignment => assignment.topic === topic)?.partitions ?? [],
      poll: (count, ms) => inbox.take(count, ms),
      commit: async records => {
        const next = {}
        for (const { partition, offset } of records) next[partition] = Math.max(next[partition] ?? 0, offset + 1)
        const offsets = Object.entries(next).map(([partition, offset]) => ({ topic, partition: Number(partition), offset: BigInt(offset), leaderEpoch: -1 }))
        await consumer.commit({ offsets })
      },
      close: async () => {
        await stream.close()
        await consumer.close(true)
      }
    }
  }
}

async function refusedWith(refusal, call) {
  try {
    await call
  } catch (error) {
    throw error.findBy?.('apiId', refusal) ? refusal : error
  }
}
