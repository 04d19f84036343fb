//! Signalling messages and join parameters.

use bedrud_room::{
    Claims, ClientContext, Format, JoinParams, SignalPath, decode_join_request, decode_request,
};
use prost::Message as _;

/// The bytes are read as a message in both formats, as a join request, and as the query of both endpoints.
pub fn run(data: &[u8]) {
    if let Ok(request) = decode_request(Format::Protobuf, data) {
        // Unknown fields are dropped and maps have no order, so only the meaning has to survive; a message of the same
        // length has the same fields, and unlike equality that holds for numbers that are none.
        let again = decode_request(Format::Protobuf, &request.encode_to_vec()).expect("own message");
        assert_eq!(again.encoded_len(), request.encoded_len());
    }
    let _ = decode_request(Format::Json, data);
    let text = String::from_utf8_lossy(data);
    let _ = decode_join_request(&text);
    // `name=value` lines, not URL-encoded: that is the HTTP server's part.
    let query: Vec<_> = text.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let context = ClientContext { user_agent: text.clone().into_owned(), ..ClientContext::default() };
    for path in [SignalPath::V0, SignalPath::V1] {
        let _ = JoinParams::from_query(path, query.iter().copied(), Claims::default(), &context);
    }
}
