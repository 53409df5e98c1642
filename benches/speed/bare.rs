//! What actix-web does alone: one handler that gives the same bytes and the same headers to everybody.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpServer, web};

/// Serve the body in a file under the headers in another (one `name: value` a line) on a port of this machine.
pub fn serve(arguments: &[String]) {
    let [port, body, headers] = arguments else { panic!("bare PORT BODY HEADERS") };
    let body = web::Bytes::from(std::fs::read(body).unwrap());
    let read = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: Vec<_> = std::fs::read_to_string(headers).unwrap().lines().map(read).collect();
    let address = format!("127.0.0.1:{port}");
    let server = HttpServer::new(move || {
        let (body, headers) = (body.clone(), headers.clone());
        let handler = move || {
            let (body, headers) = (body.clone(), headers.clone());
            async move {
                let mut response = HttpResponse::Ok().body(body);
                for (name, value) in &headers {
                    response.headers_mut().insert(name.clone(), value.clone());
                }
                response
            }
        };
        actix_web::App::new().route("/users/{handle}/{rest:.*}", web::get().to(handler))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(server.bind(address).unwrap().run()).unwrap();
}
