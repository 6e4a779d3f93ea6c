package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// IBM's sarama, speaking the protocol as of one Kafka version.
type saramaClient struct {
	label   string
	version sarama.KafkaVersion
	admin   sarama.ClusterAdmin
}

func newSarama(label string, version sarama.KafkaVersion) client {
	s := &saramaClient{label: label, version: version}
	s.admin = must(sarama.NewClusterAdmin(bootstrap, s.settings()))
	return s
}

func (s *saramaClient) settings() *sarama.Config {
	settings := sarama.NewConfig()
	settings.Version = s.version
	settings.Net.MaxOpenRequests = 1
	settings.Producer.Idempotent = true
	settings.Producer.RequiredAcks = sarama.WaitForAll
	settings.Producer.Return.Successes = true
	settings.Consumer.Offsets.Initial = sarama.OffsetOldest
	settings.Consumer.Offsets.AutoCommit.Enable = false
	settings.Consumer.Return.Errors = true
	settings.Consumer.MaxWaitTime = maxWait
	settings.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	return settings
}

func (s *saramaClient) name() string { return s.label }
func (s *saramaClient) close()       { attempt(s.admin.Close()) }

func (s *saramaClient) brokers() (int, error) {
	brokers, _, err := s.admin.DescribeCluster()
	return len(brokers), err
}

func (s *saramaClient) topics() (names []string, err error) {
	topics, err := s.admin.ListTopics()
	for name := range topics {
		names = append(names, name)
	}
	return names, err
}

func (s *saramaClient) inSync(topic string) (replicas []int, err error) {
	topics, err := s.admin.DescribeTopics([]string{topic})
	if err != nil {
		return nil, err
	}
	if topics[0].Err != sarama.ErrNoError {
		return nil, topics[0].Err
	}
	for _, p := range topics[0].Partitions {
		replicas = append(replicas, len(p.Isr))
	}
	return replicas, nil
}

func (s *saramaClient) createTopic(topic string, partitions int, configs map[string]string) error {
	values := map[string]*string{}
	for key, value := range configs {
		values[key] = &value
	}
	err := s.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 3, ConfigEntries: values}, false)
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return errExists
	}
	return err
}

func (s *saramaClient) deleteTopic(topic string) error {
	err := s.admin.DeleteTopic(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		return errUnknown
	}
	return err
}

func (s *saramaClient) config(topic, key string) (string, error) {
	entries, err := s.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	for _, entry := range entries {
		if entry.Name == key {
			return entry.Value, err
		}
	}
	return "", err
}

func (s *saramaClient) setConfig(topic, key, value string) error {
	change := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}
	return s.admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{key: change}, false)
}

func (s *saramaClient) endOffsets(topic string, partitions int) (ends []int64, err error) {
	c, err := sarama.NewClient(bootstrap, s.settings())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for p := range partitions {
		end, failed := c.GetOffset(topic, int32(p), sarama.OffsetNewest)
		ends, err = append(ends, end), errors.Join(err, failed)
	}
	return ends, err
}

func (s *saramaClient) offsetAt(topic string, at time.Time) (int64, error) {
	c, err := sarama.NewClient(bootstrap, s.settings())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.GetOffset(topic, 0, at.UnixMilli())
}

func (s *saramaClient) produce(topic, codec string, records []record) error {
	settings := s.settings()
	attempt(settings.Producer.Compression.UnmarshalText([]byte(codec)))
	producer, err := sarama.NewSyncProducer(bootstrap, settings)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		messages[i] = &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(r.key), Value: sarama.StringEncoder(r.value)}
	}
	err = producer.SendMessages(messages)
	for i, m := range messages {
		records[i].partition, records[i].offset = int(m.Partition), m.Offset
	}
	return err
}

func (s *saramaClient) read(topic string, partitions, count int) (records []record, err error) {
	consumer, err := sarama.NewConsumer(bootstrap, s.settings())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	// All partitions into one channel, until this function is left.
	arrived, failed, over := make(chan *sarama.ConsumerMessage), make(chan error), make(chan struct{})
	defer close(over)
	for p := range partitions {
		from, err := consumer.ConsumePartition(topic, int32(p), sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		defer from.AsyncClose()
		go func() {
			for m := range from.Messages() {
				select {
				case arrived <- m:
				case <-over:
				}
			}
		}()
		go func() {
			for err := range from.Errors() {
				select {
				case failed <- err:
				case <-over:
				}
			}
		}()
	}
	timeout := time.After(patience)
	for len(records) < count {
		select {
		case m := <-arrived:
			records = append(records, record{int(m.Partition), m.Offset, string(m.Key), string(m.Value)})
		case err := <-failed:
			return records, err
		case <-timeout:
			return records, fmt.Errorf("%d of %d records within %s", len(records), count, patience)
		}
	}
	return records, nil
}

func (s *saramaClient) groups() (names []string, err error) {
	groups, err := s.admin.ListConsumerGroups()
	for name := range groups {
		names = append(names, name)
	}
	return names, err
}

func (s *saramaClient) describeGroup(group string) (string, int, error) {
	described, err := s.admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return "", 0, err
	}
	if described[0].Err != sarama.ErrNoError {
		return "", 0, described[0].Err
	}
	return described[0].State, len(described[0].Members), nil
}

func (s *saramaClient) committed(group, topic string, partition int) (int64, error) {
	offsets, err := s.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {int32(partition)}})
	if err != nil {
		return 0, err
	}
	block := offsets.GetBlock(topic, int32(partition))
	if block.Err != sarama.ErrNoError {
		return 0, block.Err
	}
	return block.Offset, nil
}

func (s *saramaClient) deleteGroup(group string) error { return s.admin.DeleteConsumerGroup(group) }

// saramaMember consumes in the background, as sarama wants it; records wait in no buffer of ours, so that none outlives its session.
type saramaMember struct {
	group    sarama.ConsumerGroup
	topic    string
	messages chan *sarama.ConsumerMessage
	done     chan struct{}
	stop     context.CancelFunc

	mutex   sync.Mutex
	session sarama.ConsumerGroupSession
	errs    error
}

func (s *saramaClient) join(group, topic string) (member, error) {
	joined, err := sarama.NewConsumerGroup(bootstrap, group, s.settings())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &saramaMember{group: joined, topic: topic, messages: make(chan *sarama.ConsumerMessage), done: make(chan struct{}), stop: stop}
	go func() {
		for err := range joined.Errors() {
			m.failed(err)
		}
	}()
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, m); err != nil {
				m.failed(err)
				return
			}
		}
	}()
	return m, nil
}

func (m *saramaMember) failed(err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.errs = errors.Join(m.errs, err)
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = session
	return nil
}

func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = nil
	return nil
}

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		select {
		case m.messages <- message:
		case <-session.Context().Done():
			return nil
		}
	}
	return nil
}

func (m *saramaMember) assigned() (partitions []int, err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.session != nil {
		for _, p := range m.session.Claims()[m.topic] {
			partitions = append(partitions, int(p))
		}
	}
	return partitions, m.errs
}

func (m *saramaMember) poll(count int, within time.Duration) (records []record, err error) {
	timeout := time.After(within)
	for len(records) < count {
		select {
		case got := <-m.messages:
			records = append(records, record{int(got.Partition), got.Offset, string(got.Key), string(got.Value)})
		case <-timeout:
			m.mutex.Lock()
			defer m.mutex.Unlock()
			return records, m.errs
		}
	}
	return records, nil
}

func (m *saramaMember) commit(records []record) error {
	m.mutex.Lock()
	session := m.session
	m.mutex.Unlock()
	if session == nil {
		return errors.New("no session to commit in")
	}
	for _, r := range records {
		session.MarkOffset(m.topic, int32(r.partition), r.offset+1, "")
	}
	session.Commit()
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.errs
}

func (m *saramaMember) close() error {
	m.stop()
	<-m.done
	return errors.Join(m.group.Close(), m.errs)
}
