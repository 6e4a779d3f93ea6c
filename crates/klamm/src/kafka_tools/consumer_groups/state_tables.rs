//! `kafka-consumer-groups --describe --members` and `--state`.

use anyhow::Result;

use super::described::{DescribedGroup, Member, Partitions, announce, described};
use crate::commands::brokers::Brokers;
use crate::commands::output::write_line;
use crate::kafka_tools::columns::{MISSING, joined, or_missing, padded, width};

pub(super) async fn describe_members(groups: &[String], verbose: bool, brokers: &mut Brokers) -> Result<()> {
    let groups = all(groups, brokers).await?;
    for group in groups {
        announce(&group, group.members.len())?;
        write_line(&members_table(&group, verbose))?;
    }
    Ok(())
}

pub(super) async fn describe_states(groups: &[String], verbose: bool, brokers: &mut Brokers) -> Result<()> {
    let groups = all(groups, brokers).await?;
    for group in groups {
        if announce(&group, 1)? {
            let address = brokers.address(group.coordinator).unwrap_or(MISSING);
            write_line(&state_table(&group, address, verbose))?;
        }
    }
    Ok(())
}

/// All of them, before anything is printed: one that isn't there is an error of the whole.
async fn all(groups: &[String], brokers: &mut Brokers) -> Result<Vec<DescribedGroup>> {
    let mut found = Vec::new();
    for group in groups {
        found.push(described(brokers, group).await?);
    }
    Ok(found)
}

/// The head is printed even for a group without members.
fn members_table(group: &DescribedGroup, verbose: bool) -> String {
    let members = &group.members;
    let texts = |of: fn(&Member) -> &str| members.iter().map(of);
    let group_width = width(15, members.iter().map(|_| group.group.as_str()));
    let id_width = width(15, texts(|member| &member.id));
    let instance_width = width(17, texts(|member| member.instance.as_deref().unwrap_or_default()));
    let host_width = width(15, texts(|member| &member.host));
    let client_width = width(15, texts(|member| &member.client));
    let has_instances = members
        .iter()
        .any(|member| member.instance.as_ref().is_some_and(|id| !id.is_empty()));
    let both = [true, false].map(|kind| members.iter().any(|member| member.upgraded == Some(kind)));
    let migrates = both == [true, true];
    let current: Vec<String> = members.iter().map(|member| assignment(&member.assignment)).collect();
    let target: Vec<String> = members.iter().map(|member| assignment(&member.target)).collect();
    let current_width = width(20, current.iter().map(String::as_str));
    let target_width = width(20, target.iter().map(String::as_str));
    let line = |first: [&str; 6], second: [&str; 5]| {
        let [name, id, instance, host, client, count] = first;
        let mut cells = vec![(name, group_width), (id, id_width)];
        cells.extend(has_instances.then_some((instance, instance_width)));
        // Kafka's format ends with a blank, whether something follows or not.
        cells.extend([(host, host_width), (client, client_width), (count, 15), ("", 0)]);
        let mut text = padded(cells);
        if verbose {
            let [epoch, current, target_epoch, target, upgraded] = second;
            let mut cells = vec![
                (epoch, 15),
                (current, current_width),
                (target_epoch, 15),
                (target, target_width),
            ];
            cells.extend(migrates.then_some((upgraded, 0)));
            text.push_str(&padded(cells));
        }
        text
    };
    let head = line(
        [
            "GROUP",
            "CONSUMER-ID",
            "GROUP-INSTANCE-ID",
            "HOST",
            "CLIENT-ID",
            "#PARTITIONS",
        ],
        [
            "CURRENT-EPOCH",
            "CURRENT-ASSIGNMENT",
            "TARGET-EPOCH",
            "TARGET-ASSIGNMENT",
            "UPGRADED",
        ],
    );
    let mut lines = vec![String::new(), head];
    for ((member, current), target) in members.iter().zip(&current).zip(&target) {
        lines.push(line(
            [
                &group.group,
                &member.id,
                member.instance.as_deref().unwrap_or_default(),
                &member.host,
                &member.client,
                &member.partition_count().to_string(),
            ],
            [
                &or_missing(member.epoch),
                current,
                &or_missing(group.target_epoch),
                target,
                &or_missing(member.upgraded),
            ],
        ));
    }
    lines.join("\n")
}

/// `a:0,1;b:2`.
fn assignment(partitions: &Partitions) -> String {
    if partitions.values().all(Vec::is_empty) {
        return MISSING.to_owned();
    }
    let topics = partitions.iter().filter(|(_, indexes)| !indexes.is_empty());
    let topics = topics.map(|(topic, indexes)| {
        let mut indexes = indexes.clone();
        indexes.sort_unstable();
        format!("{topic}:{}", joined(&indexes))
    });
    topics.collect::<Vec<_>>().join(";")
}

fn state_table(group: &DescribedGroup, address: &str, verbose: bool) -> String {
    let coordinator = format!("{address}  ({})", group.coordinator);
    let (group_width, coordinator_width) = (width(15, [group.group.as_str()]), width(25, [coordinator.as_str()]));
    let line = |cells: [&str; 7]| {
        let [name, coordinator, strategy, state, epoch, target_epoch, members] = cells;
        let mut line = vec![
            (name, group_width),
            (coordinator, coordinator_width),
            (strategy, 20),
            (state, 20),
        ];
        if verbose {
            line.extend([(epoch, 15), (target_epoch, 25)]);
        }
        line.push((members, 0));
        format!("\n{}", padded(line))
    };
    let strategy = Some(group.assignor.as_str()).filter(|name| !name.is_empty());
    let head = line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ]);
    let row = line([
        &group.group,
        &coordinator,
        strategy.unwrap_or(MISSING),
        &group.state,
        &or_missing(group.group_epoch),
        &or_missing(group.target_epoch),
        &group.members.len().to_string(),
    ]);
    head + &row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: Vec<Member>) -> DescribedGroup {
        DescribedGroup {
            group: "g".to_owned(),
            coordinator: 2,
            state: "Stable".to_owned(),
            assignor: "range".to_owned(),
            members,
            group_epoch: Some(5),
            target_epoch: Some(5),
        }
    }

    fn member(id: &str) -> Member {
        Member {
            id: id.to_owned(),
            client: "c".to_owned(),
            host: "/127.0.0.1".to_owned(),
            assignment: Partitions::from([("t".to_owned(), vec![1, 0]), ("a".to_owned(), vec![2])]),
            ..Member::default()
        }
    }

    #[test]
    fn members_are_a_line_each_and_instances_have_a_column_only_where_there_are_some() {
        let text = members_table(&group(vec![member("m")]), false);
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(
            lines,
            [
                "",
                "GROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     ",
                "g               m               /127.0.0.1      c               3               ",
            ]
        );
        let mut fixed = member("m");
        fixed.instance = Some("i".to_owned());
        assert!(members_table(&group(vec![fixed]), false).contains("GROUP-INSTANCE-ID"));
    }

    #[test]
    fn verbose_members_tell_epochs_and_assignments() {
        let text = members_table(&group(vec![member("m")]), true);
        assert!(
            text.contains("CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT"),
            "{text}"
        );
        assert!(
            text.ends_with("3               -               a:2;t:0,1            5               -                   "),
            "{text:?}"
        );
        assert!(!text.contains("UPGRADED"));
        let (mut old, mut new) = (member("old"), member("new"));
        (old.upgraded, new.upgraded) = (Some(false), Some(true));
        assert!(members_table(&group(vec![old, new]), true).contains("UPGRADED"));
    }

    #[test]
    fn a_state_is_one_line_with_the_coordinators_address() {
        let text = state_table(&group(Vec::new()), "127.0.0.1:9092", false);
        assert!(
            text.starts_with(
                "\nGROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS\n"
            ),
            "{text}"
        );
        assert!(
            text.ends_with("g               127.0.0.1:9092  (2)       range                Stable               0"),
            "{text}"
        );
        assert!(
            state_table(&group(Vec::new()), "a:1", true).contains("GROUP-EPOCH     TARGET-ASSIGNMENT-EPOCH   #MEMBERS")
        );
    }
}
