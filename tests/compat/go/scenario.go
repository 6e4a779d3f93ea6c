package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const count = 500

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// What was acknowledged to whom, for the others to read.
var written struct {
	sync.Mutex
	topics []writtenTopic
}

type writtenTopic struct {
	writer  client
	topic   string
	records []record
}

var failures atomic.Int32

func scenario(c client) {
	check(c, "the cluster has three brokers", func(c client) { expect(3, must(c.brokers())) })
	check(c, "create, list and describe a topic", topics)
	for _, codec := range codecs {
		check(c, "produce and consume with "+codec, func(c client) { roundTrip(c, codec) })
	}
	check(c, "offsets at the end and by time", offsets)
	check(c, "a group goes on from its commit", commits)
	check(c, "a second member takes over half, and all when the first leaves", rebalance)
	check(c, "list, describe and delete a group", groups)
	check(c, "describe and change a topic's configs", configs)
	check(c, "delete a topic", deleteTopic)
}

func topics(c client) {
	topic := create(c, "topics", 4, nil)
	expect(4, len(must(c.inSync(topic))))
	expect(true, slices.Contains(must(c.topics()), topic))
	refused(errExists, c.createTopic(topic, 1, nil))
}

func roundTrip(c client, codec string) {
	topic := create(c, codec, 3, nil)
	sent := fill(c, topic, codec, count)
	expectSame(sent, must(c.read(topic, 3, count)))
	// A client that sent something else than it was told would prove nothing.
	expect(codec, codecOf(topic))
	written.Lock()
	defer written.Unlock()
	written.topics = append(written.topics, writtenTopic{c, topic, sent})
}

func readsTheOthers(c client) {
	for _, of := range written.topics {
		if of.writer != c {
			expectSame(of.records, must(c.read(of.topic, 3, len(of.records))))
		}
	}
}

func offsets(c client) {
	topic := create(c, "offsets", 1, nil)
	fill(c, topic, "none", 10)
	expect([]int64{10}, must(c.endOffsets(topic, 1)))
	expect(int64(0), must(c.offsetAt(topic, time.Now().Add(-time.Hour))))
}

func commits(c client) {
	topic, group := create(c, "commits", 1, nil), groupOf(c, "commits")
	fill(c, topic, "none", 100)

	first := must(c.join(group, topic))
	read := must(first.poll(40, patience))
	expectOffsets(0, 40, read)
	attempt(first.commit(read))
	attempt(first.close())
	expect(int64(40), must(c.committed(group, topic, 0)))

	second := must(c.join(group, topic))
	read = must(second.poll(60, patience))
	expectOffsets(40, 100, read)
	attempt(second.commit(read))
	attempt(second.close())
	expect(int64(100), must(c.committed(group, topic, 0)))
}

func rebalance(c client) {
	topic, group := create(c, "rebalance", 4, nil), groupOf(c, "rebalance")
	first := must(c.join(group, topic))
	assigned(4, first)
	second := must(c.join(group, topic))
	assigned(2, first, second)
	expectSame(fill(c, topic, "none", 100), drain(100, first, second))
	attempt(first.close())
	assigned(4, second)
	// What nobody committed comes once more.
	sent := fill(c, topic, "none", 50)
	seen := map[record]bool{}
	until("the last member reads what was sent after the first left", func() bool {
		for _, r := range must(second.poll(50, time.Second)) {
			seen[r] = true
		}
		return !slices.ContainsFunc(sent, func(r record) bool { return !seen[r] })
	})
	attempt(second.close())
}

func groups(c client) {
	topic, group := create(c, "groups", 1, nil), groupOf(c, "groups")
	fill(c, topic, "none", 10)
	m := must(c.join(group, topic))
	read := must(m.poll(10, patience))
	attempt(m.commit(read))
	state, members, err := c.describeGroup(group)
	attempt(err)
	expect("Stable 1", fmt.Sprint(state, " ", members))
	expect(true, slices.Contains(must(c.groups()), group))
	attempt(m.close())
	state, members, err = c.describeGroup(group)
	attempt(err)
	expect("Empty 0", fmt.Sprint(state, " ", members))
	attempt(c.deleteGroup(group))
	expect(false, slices.Contains(must(c.groups()), group))
}

func configs(c client) {
	topic := create(c, "configs", 1, map[string]string{"retention.ms": "1234567"})
	expect("1234567", must(c.config(topic, "retention.ms")))
	expect("2", must(c.config(topic, "min.insync.replicas")))
	attempt(c.setConfig(topic, "retention.ms", "7654321"))
	until("the new value is shown", func() bool { return must(c.config(topic, "retention.ms")) == "7654321" })
}

func deleteTopic(c client) {
	topic := create(c, "deleted", 2, nil)
	attempt(c.deleteTopic(topic))
	until("the topic is gone", func() bool { return !slices.Contains(must(c.topics()), topic) })
	refused(errUnknown, c.deleteTopic(topic))
}

// What the checks are made of. A check ends by a panic.

func check(c client, name string, run func(client)) {
	defer func() {
		if err := recover(); err != nil {
			fmt.Printf("FAIL %s: %s\n%v\n%s\n", c.name(), name, err, debug.Stack())
			failures.Add(1)
		}
	}()
	run(c)
	fmt.Printf("ok %s: %s\n", c.name(), name)
}

func create(c client, name string, partitions int, configs map[string]string) string {
	topic := nameOf(c, name)
	attempt(c.createTopic(topic, partitions, configs))
	until(topic+" has its ISR", func() bool {
		replicas, err := c.inSync(topic)
		return err == nil && len(replicas) == partitions && !slices.ContainsFunc(replicas, func(n int) bool { return n != 3 })
	})
	return topic
}

func fill(c client, topic, codec string, count int) []record {
	records := make([]record, count)
	for i := range records {
		records[i] = record{key: fmt.Sprint("key ", i), value: fmt.Sprint("value ", i)}
	}
	attempt(c.produce(topic, codec, records))
	return records
}

// codecOf is the codec of a topic's batches, as franz-go finds it.
func codecOf(topic string) string {
	reader := must(kgo.NewClient(kgo.SeedBrokers(bootstrap...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())))
	defer reader.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fetches := reader.PollFetches(ctx)
	attempt(fetches.Err())
	found := map[string]bool{}
	fetches.EachRecord(func(r *kgo.Record) { found[codecs[r.Attrs.CompressionType()]] = true })
	return strings.Join(slices.Sorted(maps.Keys(found)), ",")
}

func assigned(each int, members ...member) {
	until(fmt.Sprintf("%d members have %d partitions each", len(members), each), func() bool {
		all := map[int]bool{}
		for _, m := range members {
			partitions := must(m.assigned())
			if len(partitions) != each {
				return false
			}
			for _, p := range partitions {
				all[p] = true
			}
		}
		return len(all) == each*len(members)
	})
}

func drain(count int, members ...member) (records []record) {
	until(fmt.Sprintf("the members read %d records", count), func() bool {
		for _, m := range members {
			records = append(records, must(m.poll(count, 200*time.Millisecond))...)
		}
		return len(records) >= count
	})
	return records
}

func until(what string, condition func() bool) {
	for end := time.Now().Add(patience); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			panic(fmt.Sprintf("waited %s: %s", patience, what))
		}
	}
}

func nameOf(c client, name string) string {
	return run + "-" + strings.ReplaceAll(c.name(), " ", "-") + "-" + name
}

func groupOf(c client, name string) string { return nameOf(c, name) + "-group" }

func must[T any](value T, err error) T {
	attempt(err)
	return value
}

func attempt(err error) {
	if err != nil {
		panic(err)
	}
}

func refused(expected, err error) {
	if !errors.Is(err, expected) {
		panic(fmt.Sprintf("expected %v, found %v", expected, err))
	}
}

func expect[T any](expected, found T) {
	if fmt.Sprint(expected) != fmt.Sprint(found) {
		panic(fmt.Sprintf("expected %v, found %v", expected, found))
	}
}

func expectOffsets(from, to int64, records []record) {
	expect(to-from, int64(len(records)))
	for i, r := range records {
		expect(from+int64(i), r.offset)
	}
}

// expectSame: the same records at the same places, each once.
func expectSame(expected, found []record) {
	sorted := func(records []record) []record {
		return slices.SortedFunc(slices.Values(records), func(a, b record) int {
			if a.partition != b.partition {
				return a.partition - b.partition
			}
			return int(a.offset - b.offset)
		})
	}
	expect(len(expected), len(found))
	for i, r := range sorted(expected) {
		expect(r, sorted(found)[i])
	}
}
