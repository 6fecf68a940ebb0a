//! What metadata servers report of their sessions, for the audit log alone.

use std::time::{Duration, UNIX_EPOCH};

use proto::rest::{SessionChange, SessionEvent, SessionReport};
use uuid::Uuid;

use super::meta_stores;
use crate::api::ApiError;
use crate::audit::{Event, stamp};
use crate::db::{Columns, Tx, number, uuid};

/// How far the reports of one server were taken in.
struct Progress {
    run: Uuid,
    next: u64,
    ended: bool,
}

/// Takes a report in, once however often it is sent. What it lacks is told as well: that is what an audit log is for.
pub(crate) fn record(tx: &Tx<'_>, store: Uuid, report: SessionReport) -> Result<(), ApiError> {
    let former = progress(tx, store)?;
    let by = Event { actor: Some(store), actor_name: address(tx, store)?, ..Event::default() };
    let mut next = match former {
        Some(former) if former.run == report.run => former.next,
        former => {
            if former.is_some_and(|former| !former.ended) {
                let reason = "the metadata server was not stopped in order: what it had not reported is not known";
                tx.tell(Event { action: GAP.to_owned(), ..by.clone() }.with("reason", reason));
            }
            0
        }
    };
    for event in report.events {
        if event.number < next {
            continue;
        }
        tell_missing(tx, &by, event.number - next);
        next = event.number + 1;
        tell(tx, store, &by, event)?;
    }
    tell_missing(tx, &by, report.next.saturating_sub(next));
    save(tx, store, &Progress { run: report.run, next: next.max(report.next), ended: report.last })
}

const GAP: &str = "audit.gap";

fn tell_missing(tx: &Tx<'_>, by: &Event, count: u64) {
    if count > 0 {
        let reason = "the metadata server had no room for events while this server did not take them";
        tx.tell(Event { action: GAP.to_owned(), ..by.clone() }.with("dropped", count).with("reason", reason));
    }
}

fn tell(tx: &Tx<'_>, store: Uuid, by: &Event, event: SessionEvent) -> Result<(), ApiError> {
    let action = match event.what {
        SessionChange::Start => "session.start",
        SessionChange::Resume => "session.resume",
        SessionChange::End => "session.end",
        SessionChange::Refuse => "session.refuse",
        SessionChange::Breach => "session.breach",
    };
    let volume = match event.volume_id {
        Some(id) => volume_of(tx, store, id)?,
        None => None,
    };
    let (account_id, name) = volume.map_or((None, String::new()), |(account, name)| (Some(account), name));
    let line = Event {
        action: action.to_owned(),
        account_id,
        name,
        object: event.session.map_or_else(String::new, |id| id.to_string()),
        from: cut(event.from),
        ..by.clone()
    };
    let line = line.with("at", stamp(UNIX_EPOCH + Duration::from_millis(event.at_millis.min(MILLIS_MAX))));
    let ids = [("token_id", event.token_id), ("volume_id", event.volume_id)];
    let line = ids.into_iter().fold(line, |line, (field, id)| match id {
        Some(id) => line.with(field, id.to_string()),
        None => line,
    });
    let line = [("place", event.place), ("reason", event.reason)]
        .into_iter()
        .fold(line, |line, (field, text)| if text.is_empty() { line } else { line.with(field, text) });
    tx.tell(if event.count > 1 { line.with("count", event.count) } else { line });
    Ok(())
}

/// The year 9999: later times have no stamp.
const MILLIS_MAX: u64 = 253_402_300_799_999;

/// An address, not a tale.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(64));
    text
}

/// Account and name of a volume, which may be retired, if it is this server's.
fn volume_of(tx: &Tx<'_>, store: Uuid, id: Uuid) -> Result<Option<(Uuid, String)>, ApiError> {
    Columns::default()
        .with("id", id.to_string())
        .with("meta_store_id", store.to_string())
        .find(tx, "volumes", |row| Ok((uuid(row, "account_id")?, row.get("name")?)))
}

fn address(tx: &Tx<'_>, store: Uuid) -> Result<String, ApiError> {
    Ok(meta_stores::place(tx, store)?.map_or_else(String::new, |(address, _)| address))
}

fn progress(tx: &Tx<'_>, store: Uuid) -> Result<Option<Progress>, ApiError> {
    key(store).find(tx, "audit_reports", |row| {
        Ok(Progress { run: uuid(row, "run")?, next: number(row, "next")?, ended: row.get("ended")? })
    })
}

fn save(tx: &Tx<'_>, store: Uuid, progress: &Progress) -> Result<(), ApiError> {
    let next = i64::try_from(progress.next).map_err(|_| ApiError::bad("`next`: fewer events are needed"))?;
    let columns =
        Columns::default().with("run", progress.run.to_string()).with("next", next).with("ended", progress.ended);
    if key(store).count(tx, "audit_reports")? == 0 {
        return key(store).and(columns).insert(tx, "audit_reports");
    }
    columns.update(tx, "audit_reports", key(store)).map(drop)
}

fn key(store: Uuid) -> Columns {
    Columns::default().with("meta_store_id", store.to_string())
}
