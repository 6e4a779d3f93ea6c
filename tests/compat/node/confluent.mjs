// @confluentinc/kafka-javascript: librdkafka behind the promises of kafkajs, in both group protocols. It has no admin calls for configs
// and none that names the brokers. One that npm had to build has zstd if libzstd's headers were there.
import confluent from '@confluentinc/kafka-javascript'
import { KafkaJs, Member } from './kafkajs.mjs'
import { UNKNOWN } from './adapter.mjs'

const { ConsumerGroupStates, ErrorCodes, Kafka, logLevel } = confluent.KafkaJS

export async function connect(brokers) {
  const kafka = new Kafka({ kafkaJS: { brokers, logLevel: logLevel.NOTHING } })
  const admins = [kafka.admin(), kafka.admin()]
  for (const admin of admins) await admin.connect()
  return [
    new Confluent('kafka-javascript', kafka, admins[0], { 'heartbeat.interval.ms': 500 }),
    new Confluent('kafka-javascript of KIP-848', kafka, admins[1], { 'group.protocol': 'consumer' })
  ]
}

class Confluent extends KafkaJs {
  brokers = undefined
  config = undefined

  codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].filter(codec => codec === 'none' || confluent.features.includes(codec))

  constructor(name, kafka, admin, protocol) {
    super(name, kafka, admin)
    this.protocol = protocol
    this.states = Object.fromEntries(Object.entries(ConsumerGroupStates).map(([key, value]) => [value, key]))
  }

  async inSync(topic) {
    const [{ partitions }] = await this.admin.fetchTopicMetadata({ topics: [topic] })
    return partitions.map(partition => partition.isr.length)
  }

  async deleteTopic(topic) {
    try {
      await this.admin.deleteTopics({ topics: [topic] })
    } catch (error) {
      throw error.code === ErrorCodes.ERR_UNKNOWN_TOPIC_OR_PART ? UNKNOWN : error
    }
  }

  async produce(topic, compression, records) {
    const producer = this.kafka.producer({ kafkaJS: { idempotent: true, acks: -1, compression } })
    await producer.connect()
    // It puts buffers into the messages that it is given.
    const answers = await producer.send({ topic, messages: structuredClone(records) })
    await producer.disconnect()
    const first = {}
    for (const { partition, baseOffset } of answers) first[partition] = Math.min(first[partition] ?? Infinity, Number(baseOffset))
    return first
  }

  async describeGroup(group) {
    const { state, members } = (await this.admin.describeGroups([group])).groups[0]
    return { state: this.states[state], members: members.length }
  }

  async join(groupId, topic) {
    const kafkaJS = { groupId, autoCommit: false, fromBeginning: true }
    const consumer = this.kafka.consumer({ kafkaJS, 'fetch.wait.max.ms': 100, ...this.protocol })
    const member = new Member(consumer, topic)
    member.assigned = () => consumer.assignment().map(({ partition }) => partition)
    await consumer.connect()
    await consumer.subscribe({ topics: [topic] })
    await member.run({})
    return member
  }
}
