//! Panics of simulated tasks: tokio swallows them, the binary's process would end with them.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    static WATCHING: RefCell<bool> = const { RefCell::new(false) };
}

/// From now on the panics of this thread are kept for [`taken`].
pub(crate) fn watch_this_thread() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let watched = WATCHING.try_with(|watching| *watching.borrow()).unwrap_or(false);
            if watched {
                let text = format!("{panic}");
                let _ = LAST.try_with(|last| last.borrow_mut().get_or_insert(text).len());
            } else {
                report(panic);
            }
        }));
    });
    WATCHING.with(|watching| *watching.borrow_mut() = true);
}

/// The first panic since the last call.
pub(crate) fn taken() -> Option<String> {
    LAST.with(|last| last.borrow_mut().take())
}
