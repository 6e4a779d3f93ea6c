package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// segmentio's kafka-go: Writer, Reader and, for everything else, Client.
type kafkaGo struct{ client *kafka.Client }

func newKafkaGo() client {
	return &kafkaGo{&kafka.Client{Addr: kafka.TCP(bootstrap...), Timeout: patience}}
}

func (k *kafkaGo) name() string { return "kafka-go" }
func (k *kafkaGo) close()       {}

func (k *kafkaGo) metadata(topics ...string) (*kafka.MetadataResponse, error) {
	return k.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: topics})
}

func (k *kafkaGo) brokers() (int, error) {
	found, err := k.metadata()
	if err != nil {
		return 0, err
	}
	return len(found.Brokers), nil
}

func (k *kafkaGo) topics() (names []string, err error) {
	found, err := k.metadata()
	if err != nil {
		return nil, err
	}
	for _, topic := range found.Topics {
		names = append(names, topic.Name)
	}
	return names, nil
}

func (k *kafkaGo) inSync(topic string) (replicas []int, err error) {
	found, err := k.metadata(topic)
	if err != nil {
		return nil, err
	}
	for _, p := range found.Topics[0].Partitions {
		replicas = append(replicas, len(p.Isr))
	}
	return replicas, found.Topics[0].Error
}

func (k *kafkaGo) createTopic(topic string, partitions int, configs map[string]string) error {
	wanted := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 3}
	for key, value := range configs {
		wanted.ConfigEntries = append(wanted.ConfigEntries, kafka.ConfigEntry{ConfigName: key, ConfigValue: value})
	}
	answer, err := k.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{wanted}})
	if err != nil {
		return err
	}
	if errors.Is(answer.Errors[topic], kafka.TopicAlreadyExists) {
		return errExists
	}
	return answer.Errors[topic]
}

func (k *kafkaGo) deleteTopic(topic string) error {
	answer, err := k.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	if errors.Is(answer.Errors[topic], kafka.UnknownTopicOrPartition) {
		return errUnknown
	}
	return answer.Errors[topic]
}

func (k *kafkaGo) config(topic, key string) (string, error) {
	resource := kafka.DescribeConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}
	answer, err := k.client.DescribeConfigs(context.Background(),
		&kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{resource}})
	if err != nil {
		return "", err
	}
	for _, entry := range answer.Resources[0].ConfigEntries {
		if entry.ConfigName == key {
			return entry.ConfigValue, answer.Resources[0].Error
		}
	}
	return "", answer.Resources[0].Error
}

func (k *kafkaGo) setConfig(topic, key, value string) error {
	change := kafka.IncrementalAlterConfigsRequestConfig{Name: key, Value: value, ConfigOperation: kafka.ConfigOperationSet}
	answer, err := k.client.IncrementalAlterConfigs(context.Background(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{change}}}})
	if err != nil {
		return err
	}
	return answer.Resources[0].Error
}

func (k *kafkaGo) offsets(topic string, of ...kafka.OffsetRequest) (map[int]kafka.PartitionOffsets, error) {
	answer, err := k.client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: of}})
	if err != nil {
		return nil, err
	}
	found := map[int]kafka.PartitionOffsets{}
	for _, p := range answer.Topics[topic] {
		found[p.Partition], err = p, errors.Join(err, p.Error)
	}
	return found, err
}

func (k *kafkaGo) endOffsets(topic string, partitions int) (ends []int64, err error) {
	var wanted []kafka.OffsetRequest
	for p := range partitions {
		wanted = append(wanted, kafka.LastOffsetOf(p))
	}
	found, err := k.offsets(topic, wanted...)
	for p := range partitions {
		ends = append(ends, found[p].LastOffset)
	}
	return ends, err
}

func (k *kafkaGo) offsetAt(topic string, at time.Time) (int64, error) {
	found, err := k.offsets(topic, kafka.TimeOffsetOf(0, at))
	for offset := range found[0].Offsets {
		return offset, err
	}
	return 0, errors.Join(err, errors.New("no offset"))
}

func (k *kafkaGo) produce(topic, codec string, records []record) error {
	places := map[string]record{}
	var mutex sync.Mutex
	writer := &kafka.Writer{Addr: kafka.TCP(bootstrap...), Topic: topic, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 20 * time.Millisecond, Balancer: &kafka.Hash{},
		Completion: func(messages []kafka.Message, err error) {
			mutex.Lock()
			defer mutex.Unlock()
			for _, m := range messages {
				places[string(m.Key)] = record{partition: m.Partition, offset: m.Offset}
			}
		}}
	if codec != "none" {
		attempt(writer.Compression.UnmarshalText([]byte(codec)))
	}
	messages := make([]kafka.Message, len(records))
	for i, r := range records {
		messages[i] = kafka.Message{Key: []byte(r.key), Value: []byte(r.value)}
	}
	err := writer.WriteMessages(context.Background(), messages...)
	err = errors.Join(err, writer.Close())
	for i := range records {
		place, there := places[records[i].key]
		if !there {
			return errors.Join(err, fmt.Errorf("%s wasn't answered", records[i].key))
		}
		records[i].partition, records[i].offset = place.partition, place.offset
	}
	return err
}

func (k *kafkaGo) read(topic string, partitions, count int) (records []record, err error) {
	ends, err := k.endOffsets(topic, partitions)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for p, end := range ends {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: bootstrap, Topic: topic, Partition: p, MaxWait: maxWait})
		for next := int64(0); next < end; next++ {
			m, err := reader.ReadMessage(ctx)
			if err != nil {
				return records, errors.Join(err, reader.Close())
			}
			records = append(records, record{m.Partition, m.Offset, string(m.Key), string(m.Value)})
		}
		if err := reader.Close(); err != nil {
			return records, err
		}
	}
	return records, nil
}

func (k *kafkaGo) groups() (names []string, err error) {
	listed, err := k.client.ListGroups(context.Background(), &kafka.ListGroupsRequest{})
	if err != nil {
		return nil, err
	}
	for _, group := range listed.Groups {
		names = append(names, group.GroupID)
	}
	return names, listed.Error
}

func (k *kafkaGo) describe(group string) (kafka.DescribeGroupsResponseGroup, error) {
	answer, err := k.client.DescribeGroups(context.Background(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return kafka.DescribeGroupsResponseGroup{}, err
	}
	return answer.Groups[0], answer.Groups[0].Error
}

func (k *kafkaGo) describeGroup(group string) (string, int, error) {
	found, err := k.describe(group)
	return found.GroupState, len(found.Members), err
}

func (k *kafkaGo) committed(group, topic string, partition int) (int64, error) {
	answer, err := k.client.OffsetFetch(context.Background(),
		&kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err != nil {
		return 0, err
	}
	found := answer.Topics[topic][0]
	return found.CommittedOffset, errors.Join(answer.Error, found.Error)
}

func (k *kafkaGo) deleteGroup(group string) error {
	answer, err := k.client.DeleteGroups(context.Background(), &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return answer.Errors[group]
}

// kafkaGoMember is a Reader. It doesn't tell what it has, so the coordinator is asked about the member of its client id.
type kafkaGoMember struct {
	kafkaGo      *kafkaGo
	reader       *kafka.Reader
	group, topic string
	id           string
}

var members atomic.Int32

func (k *kafkaGo) join(group, topic string) (member, error) {
	id := fmt.Sprintf("%s-%d", group, members.Add(1))
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: bootstrap, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		MaxWait: maxWait, HeartbeatInterval: 500 * time.Millisecond,
		Dialer: &kafka.Dialer{ClientID: id, Timeout: 10 * time.Second}})
	return &kafkaGoMember{k, reader, group, topic, id}, nil
}

func (m *kafkaGoMember) assigned() (partitions []int, err error) {
	found, err := m.kafkaGo.describe(m.group)
	if err != nil || found.GroupState != "Stable" {
		return nil, err
	}
	for _, one := range found.Members {
		for _, topic := range one.MemberAssignments.Topics {
			if strings.HasPrefix(one.ClientID, m.id) && topic.Topic == m.topic {
				partitions = append(partitions, topic.Partitions...)
			}
		}
	}
	return partitions, nil
}

func (m *kafkaGoMember) poll(count int, within time.Duration) (records []record, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for len(records) < count {
		got, err := m.reader.FetchMessage(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, record{got.Partition, got.Offset, string(got.Key), string(got.Value)})
	}
	return records, nil
}

func (m *kafkaGoMember) commit(records []record) error {
	var read []kafka.Message
	for _, r := range records {
		read = append(read, kafka.Message{Topic: m.topic, Partition: r.partition, Offset: r.offset})
	}
	return m.reader.CommitMessages(context.Background(), read...)
}

func (m *kafkaGoMember) close() error { return m.reader.Close() }
