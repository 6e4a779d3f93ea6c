package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franz-go and its admin client kadm; groups of the classic protocol (cooperative-sticky) or of KIP-848.
type franz struct {
	label      string
	serverSide bool
	client     *kgo.Client
	admin      *kadm.Client
}

func newFranz(label string, serverSide bool) client {
	seeded := must(kgo.NewClient(kgo.SeedBrokers(bootstrap...)))
	return &franz{label, serverSide, seeded, kadm.NewClient(seeded)}
}

func (f *franz) name() string { return f.label }
func (f *franz) close()       { f.client.Close() }

func (f *franz) brokers() (int, error) {
	brokers, err := f.admin.ListBrokers(context.Background())
	return len(brokers), err
}

func (f *franz) topics() ([]string, error) {
	topics, err := f.admin.ListTopics(context.Background())
	return topics.Names(), err
}

func (f *franz) inSync(topic string) (replicas []int, err error) {
	topics, err := f.admin.ListTopics(context.Background(), topic)
	if err == nil {
		err = topics.Error()
	}
	for _, p := range topics[topic].Partitions.Sorted() {
		replicas = append(replicas, len(p.ISR))
	}
	return replicas, err
}

func (f *franz) createTopic(topic string, partitions int, configs map[string]string) error {
	values := map[string]*string{}
	for key, value := range configs {
		values[key] = &value
	}
	_, err := f.admin.CreateTopic(context.Background(), int32(partitions), 3, values, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return errExists
	}
	return err
}

func (f *franz) deleteTopic(topic string) error {
	_, err := f.admin.DeleteTopic(context.Background(), topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return errUnknown
	}
	return err
}

func (f *franz) config(topic, key string) (string, error) {
	resources, err := f.admin.DescribeTopicConfigs(context.Background(), topic)
	if err != nil {
		return "", err
	}
	resource, err := resources.On(topic, nil)
	for _, c := range resource.Configs {
		if c.Key == key {
			return c.MaybeValue(), errors.Join(err, resource.Err)
		}
	}
	return "", errors.Join(err, resource.Err)
}

func (f *franz) setConfig(topic, key, value string) error {
	answers, err := f.admin.AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic)
	if err != nil {
		return err
	}
	return answers[0].Err
}

func (f *franz) endOffsets(topic string, partitions int) (ends []int64, err error) {
	listed, err := f.admin.ListEndOffsets(context.Background(), topic)
	for p := range partitions {
		found, _ := listed.Lookup(topic, int32(p))
		ends = append(ends, found.Offset)
	}
	return ends, errors.Join(err, listed.Error())
}

func (f *franz) offsetAt(topic string, at time.Time) (int64, error) {
	listed, err := f.admin.ListOffsetsAfterMilli(context.Background(), at.UnixMilli(), topic)
	found, _ := listed.Lookup(topic, 0)
	return found.Offset, errors.Join(err, listed.Error())
}

func (f *franz) produce(topic, codec string, records []record) error {
	compression := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[codec]
	// Batches of few records wouldn't become smaller, and franz-go then sends them as they are.
	producer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...), kgo.ProducerBatchCompression(compression),
		kgo.RecordDeliveryTimeout(patience), kgo.ProducerLinger(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer producer.Close()
	sent := make([]*kgo.Record, len(records))
	for i, r := range records {
		sent[i] = &kgo.Record{Topic: topic, Key: []byte(r.key), Value: []byte(r.value)}
	}
	err = producer.ProduceSync(context.Background(), sent...).FirstErr()
	for i, r := range sent {
		records[i].partition, records[i].offset = int(r.Partition), r.Offset
	}
	return err
}

func (f *franz) read(topic string, _, count int) ([]record, error) {
	reader, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return pollFranz(reader, count, patience)
}

func pollFranz(from *kgo.Client, count int, within time.Duration) (records []record, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for len(records) < count && ctx.Err() == nil {
		fetches := from.PollRecords(ctx, count-len(records))
		fetches.EachRecord(func(r *kgo.Record) {
			records = append(records, record{int(r.Partition), r.Offset, string(r.Key), string(r.Value)})
		})
		fetches.EachError(func(_ string, _ int32, e error) {
			if ctx.Err() == nil {
				err = errors.Join(err, e)
			}
		})
	}
	return records, err
}

func (f *franz) groups() ([]string, error) {
	listed, err := f.admin.ListGroups(context.Background())
	return listed.Groups(), err
}

func (f *franz) describeGroup(group string) (string, int, error) {
	if f.serverSide {
		described, err := f.admin.DescribeConsumerGroups(context.Background(), group)
		return described[group].State, len(described[group].Members), errors.Join(err, described[group].Err)
	}
	described, err := f.admin.DescribeGroups(context.Background(), group)
	return described[group].State, len(described[group].Members), errors.Join(err, described[group].Err)
}

func (f *franz) committed(group, topic string, partition int) (int64, error) {
	offsets, err := f.admin.FetchOffsets(context.Background(), group)
	found, _ := offsets.Lookup(topic, int32(partition))
	return found.At, errors.Join(err, offsets.Error())
}

func (f *franz) deleteGroup(group string) error {
	_, err := f.admin.DeleteGroup(context.Background(), group)
	return err
}

type franzMember struct {
	client *kgo.Client
	topic  string
	mutex  sync.Mutex
	has    []int
}

func (f *franz) join(group, topic string) (member, error) {
	m := &franzMember{topic: topic}
	given := func(_ context.Context, _ *kgo.Client, by map[string][]int32) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		for _, p := range by[topic] {
			m.has = append(m.has, int(p))
		}
	}
	taken := func(_ context.Context, _ *kgo.Client, by map[string][]int32) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.has = slices.DeleteFunc(m.has, func(p int) bool { return slices.Contains(by[topic], int32(p)) })
	}
	options := []kgo.Opt{kgo.SeedBrokers(bootstrap...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(given), kgo.OnPartitionsRevoked(taken), kgo.OnPartitionsLost(taken)}
	if f.serverSide {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	}
	var err error
	m.client, err = kgo.NewClient(options...)
	return m, err
}

func (m *franzMember) assigned() ([]int, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.has), nil
}

func (m *franzMember) poll(count int, within time.Duration) ([]record, error) {
	return pollFranz(m.client, count, within)
}

func (m *franzMember) commit(records []record) error {
	var read []*kgo.Record
	for _, r := range records {
		read = append(read, &kgo.Record{Topic: m.topic, Partition: int32(r.partition), Offset: r.offset, LeaderEpoch: -1})
	}
	return m.client.CommitRecords(context.Background(), read...)
}

func (m *franzMember) close() error {
	m.client.Close()
	return nil
}
