//! From a path and a method to an operation.
//!
//! One matchit router keyed by path, whose value is the methods: 404, 405 and `Allow` fall out.

use matchit::Router;

use super::catalogue::{Method, Operation};

/// The routes of a catalogue.
#[derive(Debug)]
pub struct Routes(Router<Vec<&'static Operation>>);

/// Where a request leads.
#[derive(Debug)]
pub enum Route<'a> {
    /// To an operation, with the path's parameters as they stand in the URL.
    Operation(&'static Operation, Vec<(&'a str, &'a str)>),
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
        let mut paths: Vec<(&str, Vec<&'static Operation>)> = Vec::new();
        for operation in operations {
            match paths.iter_mut().find(|(path, _)| *path == operation.path) {
                Some((_, methods)) => methods.push(operation),
                None => paths.push((operation.path, vec![operation])),
            }
        }
        let mut router = Router::new();
        for (path, methods) in paths {
            router.insert(path, methods).expect("the catalogue's paths do not contradict each other");
        }
        Self(router)
    }

    /// Where this method and path (below the base path) lead.
    pub fn find<'a>(&'a self, method: &http::Method, path: &'a str) -> Route<'a> {
        let Ok(found) = self.0.at(path) else { return Route::Nowhere };
        let wanted = match method.as_str() {
            "HEAD" => "GET",
            other => other,
        };
        match found.value.iter().find(|operation| operation.method.name() == wanted) {
            Some(operation) => Route::Operation(operation, found.params.iter().collect()),
            None if method == http::Method::OPTIONS => Route::Options(Allow::of(found.value)),
            None => Route::WrongMethod(Allow::of(found.value)),
        }
    }
}

impl Allow {
    fn of(operations: &[&Operation]) -> Self {
        let mut names = Vec::new();
        for method in [Method::Get, Method::Put, Method::Post, Method::Patch, Method::Delete] {
            if operations.iter().any(|operation| operation.method == method) {
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
                Route::Operation(operation, params) => {
                    let params = params.iter().map(|(name, value)| format!(" {name}={value}"));
                    format!("{}{}", operation.name, params.collect::<String>())
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
