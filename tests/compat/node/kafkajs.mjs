// kafkajs. Its codecs are plug-ins, but for gzip.
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import { compressFrame, decompressFrame } from 'lz4-napi'
import zstd from '@mongodb-js/zstd'
import { EXISTS, Inbox, UNKNOWN } from './adapter.mjs'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({ compress: encoder => compressFrame(encoder.buffer), decompress: decompressFrame })
CompressionCodecs[CompressionTypes.ZSTD] = () => ({ compress: encoder => zstd.compress(encoder.buffer), decompress: zstd.decompress })

export async function connect(brokers) {
  // It tries a topic that doesn't exist again, too.
  const kafka = new Kafka({ brokers, clientId: 'kafkajs', logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })
  const admin = kafka.admin()
  await admin.connect()
  return [new KafkaJs('kafkajs', kafka, admin)]
}

export class KafkaJs {
  codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

  constructor(name, kafka, admin) {
    Object.assign(this, { name, kafka, admin })
  }

  close() {
    return this.admin.disconnect()
  }

  async brokers() {
    return (await this.admin.describeCluster()).brokers.length
  }

  topics() {
    return this.admin.listTopics()
  }

  async inSync(topic) {
    const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0].partitions.map(partition => partition.isr.length)
  }

  async createTopic(topic, numPartitions, configs = {}) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    // Of a topic that exists it says 'not created'.
    if (!(await this.admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 3, configEntries }] }))) throw EXISTS
  }

  async deleteTopic(topic) {
    try {
      await this.admin.deleteTopics({ topics: [topic] })
    } catch (error) {
      throw (error.cause ?? error).type === UNKNOWN ? UNKNOWN : error
    }
  }

  async config(topic, key) {
    const { resources } = await this.admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [key] }]
    })
    return resources[0].configEntries[0].configValue
  }

  async setConfig(topic, name, value) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }]
    await this.admin.alterConfigs({ validateOnly: false, resources })
  }

  async ends(topic) {
    const ends = await this.admin.fetchTopicOffsets(topic)
    return ends.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
  }

  async produce(topic, codec, messages) {
    const producer = this.kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const { None: none, GZIP: gzip, Snappy: snappy, LZ4: lz4, ZSTD: zstd } = CompressionTypes
    const answers = await producer.send({ topic, acks: -1, compression: { none, gzip, snappy, lz4, zstd }[codec], messages })
    await producer.disconnect()
    return Object.fromEntries(answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
  }

  async groups() {
    return (await this.admin.listGroups()).groups.map(({ groupId }) => groupId)
  }

  async describeGroup(group) {
    const { state, members } = (await this.admin.describeGroups([group])).groups[0]
    return { state: state.toUpperCase(), members: members.length }
  }

  async committed(groupId, topic, partition) {
    const [{ partitions }] = await this.admin.fetchOffsets({ groupId, topics: [topic] })
    return Number(partitions.find(found => found.partition === partition).offset)
  }

  async deleteGroup(group) {
    await this.admin.deleteGroups([group])
  }

  async join(groupId, topic) {
    const consumer = this.kafka.consumer({ groupId, heartbeatInterval: 500, maxWaitTimeInMs: 100 })
    const member = new Member(consumer, topic)
    let mine = []
    member.assigned = () => mine
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => (mine = payload.memberAssignment[topic] ?? []))
    consumer.on(consumer.events.REBALANCING, () => (mine = []))
    consumer.on(consumer.events.CRASH, ({ payload }) => member.inbox.fail(payload.error))
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await member.run({ autoCommit: false })
    return member
  }
}

export class Member {
  inbox = new Inbox()

  constructor(consumer, topic) {
    Object.assign(this, { consumer, topic })
  }

  run(options) {
    const eachMessage = async ({ partition, message: { offset, key, value } }) =>
      this.inbox.put({ partition, offset: Number(offset), key: `${key}`, value: `${value}` })
    return this.consumer.run({ ...options, eachMessage })
  }

  poll(count, ms) {
    return this.inbox.take(count, ms)
  }

  async commit(records) {
    const next = {}
    for (const { partition, offset } of records) next[partition] = Math.max(next[partition] ?? 0, offset + 1)
    const { topic } = this
    await this.consumer.commitOffsets(
      Object.entries(next).map(([partition, offset]) => ({ topic, partition: Number(partition), offset: `${offset}` }))
    )
  }

  close() {
    return this.consumer.disconnect()
  }
}
