// The Node clients: one scenario for all, at the same time, one file a client. Prints 'ok' and 'FAIL' lines.
//
// A client is an object of these operations, which adapt only: what an operation means, waits for or tries again is the client's.
// One that it lacks is left out, and so is what the scenario asks of it.
//   brokers() topics() inSync(topic)                        the numbers of brokers and of in-sync replicas by partition, the names
//   createTopic(topic, partitions, configs), deleteTopic    throw EXISTS and UNKNOWN
//   config(topic, key), setConfig(topic, key, value), ends(topic)
//   produce(topic, codec, records)                          gives {partition: offset of the first}; records say where they go to
//   join(group, topic)                                      a member that reads from the beginning and commits nothing by itself
//   groups() describeGroup(group) committed(group, topic, partition) deleteGroup(group)
//   codecs                                                  those that it has on this machine
// A member: assigned(), poll(count, ms), commit(records), close().
import { setTimeout as delay } from 'node:timers/promises'
import { EXISTS, UNKNOWN, PATIENCE } from './adapter.mjs'

const [bootstrap, ...wanted] = process.argv.slice(2)
const run = `node-${process.pid}`
const COUNT = 500
const PARTITIONS = 3

let failures = 0
// What was acknowledged to whom, for the others to read.
const written = []

async function check(client, name, action) {
  try {
    await action(client)
    console.log(`ok ${client.name}: ${name}`)
  } catch (error) {
    failures++
    console.log(`FAIL ${client.name}: ${name}\n${error?.stack ?? error}`)
    for (const cause of error?.errors ?? []) console.log(cause)
  }
}

async function scenario(client) {
  if (client.brokers) await check(client, 'the cluster has three brokers', async () => expect(3, await client.brokers()))
  await check(client, 'create, list and describe a topic', topics)
  for (const codec of client.codecs) await check(client, `produce and consume with ${codec}`, () => roundTrip(client, codec))
  await check(client, 'offsets at the end', ends)
  await check(client, 'a group goes on from its commit', commits)
  await check(client, 'a second member takes over half, and all when the first leaves', rebalance)
  await check(client, 'list, describe and delete a group', groups)
  if (client.config) await check(client, "describe and change a topic's configs", configs)
  await check(client, 'delete a topic', deleteTopic)
}

async function topics(client) {
  const topic = await create(client, 'topics', 4)
  expect(4, (await client.inSync(topic)).length)
  expect(true, (await client.topics()).includes(topic))
  await refused(EXISTS, client.createTopic(topic, 1))
}

async function roundTrip(client, codec) {
  const topic = await create(client, codec, PARTITIONS)
  const sent = await fill(client, topic, PARTITIONS, COUNT, codec)
  expectSame(sent, await read(client, topic, COUNT))
  written.push({ client, codec, topic, sent })
}

async function readsTheOthers(client) {
  for (const { client: writer, codec, topic, sent } of written) {
    if (writer !== client && client.codecs.includes(codec)) expectSame(sent, await read(client, topic, COUNT))
  }
}

async function ends(client) {
  const topic = await create(client, 'ends', 1)
  await fill(client, topic, 1, 10)
  expect([10], await client.ends(topic))
}

async function commits(client) {
  const [topic, group] = [await create(client, 'commits', 1), groupOf(client, 'commits')]
  await fill(client, topic, 1, 100)
  const first = await client.join(group, topic)
  let records = await first.poll(40, PATIENCE)
  expect(offsets(0, 40), records.map(record => record.offset))
  await first.commit(records)
  await first.close()
  expect(40, await client.committed(group, topic, 0))
  const second = await client.join(group, topic)
  records = await second.poll(60, PATIENCE)
  expect(offsets(40, 100), records.map(record => record.offset))
  await second.commit(records)
  await second.close()
  expect(100, await client.committed(group, topic, 0))
}

async function rebalance(client) {
  const [topic, group] = [await create(client, 'rebalance', 4), groupOf(client, 'rebalance')]
  const first = await client.join(group, topic)
  await assigned(4, first)
  const second = await client.join(group, topic)
  await assigned(2, first, second)
  const sent = await fill(client, topic, 4, 100)
  // A fetch that was on its way when the partitions moved may still bring records: they come twice.
  const seen = new Map()
  await until('the members read 100 records', async () => {
    for (const member of [first, second]) {
      for (const record of await member.poll(100, 200)) seen.set(`${record.partition}/${record.offset}`, record)
    }
    return seen.size >= 100
  })
  expectSame(sent, [...seen.values()])
  await first.close()
  await assigned(4, second)
  // What nobody committed comes once more.
  const missing = new Set((await fill(client, topic, 4, 48)).map(JSON.stringify))
  await until('the last member reads what was sent after the first left', async () => {
    for (const record of await second.poll(48, 500)) missing.delete(JSON.stringify(record))
    return missing.size === 0
  })
  await second.close()
}

async function groups(client) {
  const [topic, group] = [await create(client, 'groups', 1), groupOf(client, 'groups')]
  await fill(client, topic, 1, 10)
  const member = await client.join(group, topic)
  await member.commit(await member.poll(10, PATIENCE))
  expect({ state: 'STABLE', members: 1 }, await client.describeGroup(group))
  expect(true, (await client.groups()).includes(group))
  await member.close()
  expect({ state: 'EMPTY', members: 0 }, await client.describeGroup(group))
  await client.deleteGroup(group)
  expect(false, (await client.groups()).includes(group))
}

async function configs(client) {
  const topic = await create(client, 'configs', 1, { 'retention.ms': '1234567' })
  expect('1234567', await client.config(topic, 'retention.ms'))
  expect('2', await client.config(topic, 'min.insync.replicas'))
  await client.setConfig(topic, 'retention.ms', '7654321')
  await until('the new value is shown', async () => (await client.config(topic, 'retention.ms')) === '7654321')
}

async function deleteTopic(client) {
  const topic = await create(client, 'deleted', 2)
  await client.deleteTopic(topic)
  await until('the topic is gone', async () => !(await client.topics()).includes(topic))
  await refused(UNKNOWN, client.deleteTopic(topic))
}

// What the checks are made of.

const nameOf = (client, name) => `${run}-${client.name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}-${name}`
const groupOf = (client, name) => `${nameOf(client, name)}-group`
const offsets = (from, to) => Array.from({ length: to - from }, (_, i) => from + i)

async function create(client, name, partitions, settings = {}) {
  const topic = nameOf(client, name)
  await client.createTopic(topic, partitions, settings)
  let last
  await until(`${topic} has its ISR`, async () => {
    // Kafka's brokers may not know it yet.
    last = await client.inSync(topic).catch(error => error)
    return last.length === partitions && last.every(count => count === 3)
  }, () => last)
  return topic
}

// The place that a record was acknowledged at: that of its batch, and its place in it.
async function fill(client, topic, partitions, count, codec = 'none') {
  const records = offsets(0, count).map(i => ({ partition: i % partitions, key: `key ${i}`, value: `value ${i}` }))
  const next = await client.produce(topic, codec, records)
  return records.map(({ partition, key, value }) => ({ partition, offset: next[partition]++, key, value }))
}

async function read(client, topic, count) {
  const reader = await client.join(`${topic}-${client.name.replaceAll(/[^a-z]/gi, '')}-reader`, topic)
  const records = await reader.poll(count, PATIENCE)
  await reader.close()
  return records
}

async function assigned(each, ...members) {
  await until(`${members.length} members have ${each} partitions each`, () => {
    const all = members.map(member => member.assigned())
    return all.every(partitions => partitions.length === each) && new Set(all.flat()).size === each * members.length
  })
}

async function until(what, condition, found = () => '') {
  for (const end = Date.now() + PATIENCE; !(await condition()); await delay(50)) {
    if (Date.now() > end) throw new Error(`waited ${PATIENCE} ms: ${what} ${found()}`)
  }
}

async function refused(expected, call) {
  const error = await call.then(() => 'not refused', error => error)
  if (error !== expected) throw error instanceof Error ? error : new Error(`expected ${expected}, found ${error}`)
}

function expect(expected, found) {
  const [left, right] = [expected, found].map(value => JSON.stringify(value))
  if (left !== right) throw new Error(`expected ${left}, found ${right}`)
}

// The same records at the same places, each once.
function expectSame(expected, found) {
  const sorted = records => records.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
  expect(expected.length, found.length)
  const [left, right] = [sorted(expected), sorted(found)]
  left.forEach((record, i) => expect(record, right[i]))
}

const clients = []
for (const file of ['kafkajs', 'platformatic', 'confluent'].filter(file => wanted.length === 0 || wanted.includes(file))) {
  try {
    clients.push(...(await (await import(`./${file}.mjs`)).connect(bootstrap.split(','))))
  } catch (error) {
    failures++
    console.log(`FAIL ${file}: it can't be loaded\n${error.stack}`)
  }
}
await Promise.all(clients.map(scenario))
for (const client of clients) {
  await check(client, 'reads what the others wrote', readsTheOthers)
  await client.close()
}
process.exit(failures > 0 ? 1 : 0)
