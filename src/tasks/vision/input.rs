//! Pictures as the caller passes them.

use serde_json::Value;

use crate::error::Result;
use crate::preprocess::image::Picture;
use crate::tasks::{Buffer, Input};
use crate::{err, Code};

/// The pictures of `input`, and whether it is one alone (the result then is no list).
///
/// # Errors
/// [`Code::Input`] where a part is no picture or its sizes do not fit its data.
pub fn picture_list(input: &Input) -> Result<(Vec<Picture<'_>>, bool)> {
    let (values, single) = match &input.value {
        Value::Array(values) => (values.as_slice(), false),
        value => (std::slice::from_ref(value), true),
    };
    let pictures = values.iter().map(|value| picture(input, value)).collect::<Result<_>>()?;
    Ok((pictures, single))
}

fn picture<'a>(input: &'a Input, value: &Value) -> Result<Picture<'a>> {
    let expected = "pass an image as { data: Uint8Array, width, height, channels }";
    let number = |name: &str| {
        let number = value.get(name).and_then(Value::as_u64);
        number.map(|n| n as usize).ok_or_else(|| {
            err!(Code::Input, "an image without {name}, or with one that is no whole number")
                .remedy(expected)
        })
    };
    let data = match value.get("data").and_then(|data| input.buffer(data)) {
        Some(Buffer::U8(data)) => data,
        Some(_) => {
            let error = err!(Code::Input, "an image whose data are not bytes");
            return Err(error.remedy("pass values of 0 to 255 in a Uint8Array"));
        }
        None => return Err(err!(Code::Input, "the input is no image").remedy(expected)),
    };
    Picture::new(data, number("width")?, number("height")?, number("channels")?)
}
