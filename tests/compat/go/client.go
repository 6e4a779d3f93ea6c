package main

import (
	"errors"
	"time"
)

// As long as anything may take that isn't waited for by `until`.
const patience = 30 * time.Second

// Of a fetch that finds nothing: some clients wait for it when they close.
const maxWait = 100 * time.Millisecond

var (
	errExists  = errors.New("TOPIC_ALREADY_EXISTS")
	errUnknown = errors.New("UNKNOWN_TOPIC_OR_PARTITION")
)

type record struct {
	partition  int
	offset     int64
	key, value string
}

// client is what the scenario asks of every client. It adapts only: what an operation means, waits for or tries again is the client's.
type client interface {
	name() string
	close()

	brokers() (int, error)
	topics() ([]string, error)
	// inSync is the number of in-sync replicas of every partition.
	inSync(topic string) ([]int, error)
	// createTopic refuses with errExists, deleteTopic with errUnknown.
	createTopic(topic string, partitions int, configs map[string]string) error
	deleteTopic(topic string) error
	config(topic, key string) (string, error)
	setConfig(topic, key, value string) error
	endOffsets(topic string, partitions int) ([]int64, error)
	offsetAt(topic string, time time.Time) (int64, error)

	// produce gives every record the place that was acknowledged.
	produce(topic, codec string, records []record) error
	// read reads partitions from their beginnings, without a group.
	read(topic string, partitions, count int) ([]record, error)

	join(group, topic string) (member, error)
	groups() ([]string, error)
	describeGroup(group string) (state string, members int, err error)
	committed(group, topic string, partition int) (int64, error)
	deleteGroup(group string) error
}

// member is a consumer in a group that commits nothing by itself.
type member interface {
	// assigned is what the member, or the coordinator on its behalf, says that it has at this moment.
	assigned() ([]int, error)
	// poll gives up to count records, fewer when the time is over.
	poll(count int, within time.Duration) ([]record, error)
	commit(records []record) error
	close() error
}
