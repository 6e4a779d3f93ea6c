//! Every message that is a record turns into [`MetadataRecord`].

use crate::proto::metadata_record::Record;
use crate::proto::{self, MetadataRecord};

macro_rules! record_of {
    ($($message:ident),+ $(,)?) => {
        $(impl From<proto::$message> for MetadataRecord {
            fn from(message: proto::$message) -> Self {
                Self { record: Some(Record::$message(message)) }
            }
        })+
    };
}

record_of!(
    ClusterIdentity,
    RegisterBroker,
    UnregisterBroker,
    BrokerChange,
    Topic,
    Partition,
    PartitionChange,
    RemoveTopic,
    Config,
    ProducerIds,
    FeatureLevel,
    ClientQuota,
);
