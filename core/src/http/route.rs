//! From a path and a method to an operation.
//!
//! One matchit router keyed by path, whose value is the methods: 404, 405 and `Allow` fall out.

use matchit::{Params, Router};

use super::catalogue::{Method, Operation};
use super::negotiate::{Media, offers};

/// The routes of a catalogue.
#[derive(Debug)]
pub struct Routes(Router<Vec<Row>>);

/// An operation, and the formats in which it answers: they are asked for with each request.
#[derive(Debug)]
pub struct Row {
    /// The operation.
    pub operation: &'static Operation,
    /// What [`offers`] says of it.
    pub offers: Vec<Media>,
}

/// Where a request leads.
#[derive(Debug)]
pub enum Route<'r, 'p> {
    /// To an operation, with the path's parameters as they stand in the URL.
    Operation(&'r Row, Params<'r, 'p>),
    /// It asks what the path takes.
    Options(Allow),
    /// The path takes other methods.
    WrongMethod(Allow),
    /// There is no such path.
    Nowhere,
}

/// The methods of a path, as the `Allow` header lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(pub String);

impl Routes {
    /// The routes of these operations.
    ///
    /// # Panics
    /// When two paths contradict each other or a path takes one method twice: the catalogue is wrong.
    pub fn new(operations: &'static [Operation]) -> Self {
        let mut paths: Vec<(&str, Vec<Row>)> = Vec::new();
        for operation in operations {
            let row = Row { operation, offers: offers(operation) };
            match paths.iter_mut().find(|(path, _)| *path == operation.path) {
                Some((_, methods)) => methods.push(row),
                None => paths.push((operation.path, vec![row])),
            }
        }
        let mut router = Router::new();
        for (path, methods) in paths {
            router.insert(path, methods).expect("the catalogue's paths do not contradict each other");
        }
        Self(router)
    }

    /// Where this method and path (below the base path) lead.
    pub fn find<'r, 'p>(&'r self, method: &http::Method, path: &'p str) -> Route<'r, 'p> {
        let Ok(found) = self.0.at(path) else { return Route::Nowhere };
        let wanted = match method.as_str() {
            "HEAD" => "GET",
            other => other,
        };
        match found.value.iter().find(|row| row.operation.method.name() == wanted) {
            Some(row) => Route::Operation(row, found.params),
            None if method == http::Method::OPTIONS => Route::Options(Allow::of(found.value)),
            None => Route::WrongMethod(Allow::of(found.value)),
        }
    }
}

impl Allow {
    fn of(rows: &[Row]) -> Self {
        let mut names = Vec::new();
        for method in [Method::Get, Method::Put, Method::Post, Method::Patch, Method::Delete] {
            if rows.iter().any(|row| row.operation.method == method) {
                names.push(method.name());
                if method == Method::Get {
                    names.push("HEAD");
                }
            }
        }
        names.push("OPTIONS");
        Self(names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::sample;

    #[test]
    fn paths_and_methods_lead_to_operations() {
        let routes = Routes::new(sample::OPERATIONS);
        for (method, path, expected) in [
            ("GET", "/things", "list_things"),
            ("HEAD", "/things", "list_things"),
            ("POST", "/things", "make_thing"),
            ("GET", "/things/a%20b", "get_thing id=a%20b"),
            ("PUT", "/things/x", "put_thing id=x"),
            ("POST", "/things/x/stop", "stop_thing id=x"),
            ("OPTIONS", "/things", "allow GET, HEAD, POST, OPTIONS"),
            ("OPTIONS", "/things/x/stop", "allow POST, OPTIONS"),
            ("PATCH", "/things", "not PATCH but GET, HEAD, POST, OPTIONS"),
            ("HEAD", "/things/x/stop", "not HEAD but POST, OPTIONS"),
            ("BREW", "/things/x/stop", "not BREW but POST, OPTIONS"),
            ("GET", "/things/", "nowhere"),
            ("GET", "/things/x/y/z", "nowhere"),
            ("GET", "/things//stop", "nowhere"),
            ("GET", "", "nowhere"),
            ("GET", "/Things", "nowhere"),
        ] {
            let parsed = method.parse().expect("a method");
            let found = match routes.find(&parsed, path) {
                Route::Operation(row, params) => {
                    let params = params.iter().map(|(name, value)| format!(" {name}={value}"));
                    format!("{}{}", row.operation.name, params.collect::<String>())
                }
                Route::Options(Allow(allow)) => format!("allow {allow}"),
                Route::WrongMethod(Allow(allow)) => format!("not {method} but {allow}"),
                Route::Nowhere => "nowhere".to_owned(),
            };
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn the_catalogue_has_no_contradictions() {
        let _ = Routes::new(crate::http::operations::OPERATIONS);
    }
}
