//! Giving the host's event loop a turn.

/// Resolves in a later task of the event loop, so that messages that wait (an abort) are handled
/// first. A resolved promise would not do: it comes back in the same task.
#[cfg(target_arch = "wasm32")]
pub async fn turn() {
    use wasm_bindgen::JsCast;

    let promise = js_sys::Promise::new(&mut |resolve, _| {
        // `setTimeout` is there in windows, in workers and in Node.
        let set = js_sys::Reflect::get(&js_sys::global(), &"setTimeout".into());
        match set.ok().and_then(|f| f.dyn_into::<js_sys::Function>().ok()) {
            Some(set) if set.call2(&js_sys::global(), &resolve, &0.into()).is_ok() => {}
            _ => drop(resolve.call0(&wasm_bindgen::JsValue::UNDEFINED)),
        }
    });
    drop(wasm_bindgen_futures::JsFuture::from(promise).await);
}

/// There is no event loop natively.
#[cfg(not(target_arch = "wasm32"))]
pub async fn turn() {}
