//! What actix-web does alone: one handler that gives the same bytes and the same headers to everybody, and one that parses
//! what is posted and inserts one row.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpServer, web};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

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

/// Take activities on a port of this machine: parse the JSON, insert a row into a database, answer 202.
pub fn serve_inbox(arguments: &[String]) {
    let [port, url] = arguments else { panic!("bare-inbox PORT URL") };
    let address = format!("127.0.0.1:{port}");
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    // As many connections as Everpost has by default.
    let pool = Pool::builder(manager).max_size(10).build().unwrap();
    let server = HttpServer::new(move || {
        let pool = pool.clone();
        let handler = move |body: web::Bytes| {
            let pool = pool.clone();
            async move {
                let activity: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let text = |name: &str| activity[name].as_str().unwrap().to_owned();
                let insert =
                    diesel::sql_query("INSERT INTO received (uri, actor, kind, object) VALUES ($1, $2, $3, $4)")
                        .bind::<diesel::sql_types::Text, _>(text("id"))
                        .bind::<diesel::sql_types::Text, _>(text("actor"))
                        .bind::<diesel::sql_types::Text, _>(text("type"))
                        .bind::<diesel::sql_types::Text, _>(text("object"));
                insert.execute(&mut pool.get().await.unwrap()).await.unwrap();
                HttpResponse::Accepted().finish()
            }
        };
        actix_web::App::new().route("/inbox", web::post().to(handler))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(server.bind(address).unwrap().run()).unwrap();
}
