//! The page of a problem type, where the `type` of every problem document leads.

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::problem::{Problem, Slug};

/// What a problem type means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProblemType {
    /// What stands in a problem's `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The last part of it.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub explanation: &'static str,
}

/// Answers `GET /problems/{slug}`: a page to browsers, a resource to programs.
///
/// # Errors
/// [`Slug::NotFound`] if there is no such type.
pub fn answer(call: &Call<'_>) -> Result<Answer, Problem> {
    let text: String = call.path("slug")?;
    let slug = Slug::find(&text).ok_or_else(|| Problem::not_found("problem type", &text))?;
    let about = ProblemType::of(slug, call.base_path());
    Ok(if call.media.is_text() { Answer::html(200, about.html()) } else { Answer::json(200, &about) })
}

impl ProblemType {
    /// What is known about a type, on the server mounted here.
    pub fn of(slug: Slug, base_path: &str) -> Self {
        Self {
            kind: format!("{base_path}/problems/{}", slug.slug()),
            slug: slug.slug(),
            status: slug.status(),
            title: slug.title(),
            explanation: slug.explanation(),
        }
    }

    fn html(&self) -> String {
        let Self { kind, slug, status, title, explanation } = self;
        let (kind, title, explanation) = (escape(kind), escape(title), code(&escape(explanation)));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} ({status} {slug})</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <p>Problem type <code>{kind}</code>, HTTP status {status}</p>\n<h1>{title}</h1>\n\
             <p>{explanation}</p>\n</main>\n</body>\n</html>\n"
        )
    }
}

const STYLE: &str = "body{font:1rem/1.6 system-ui,sans-serif;margin:0;color-scheme:light dark}\
                     main{max-width:42rem;margin:4rem auto;padding:0 1.5rem}h1{line-height:1.2}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Words in backticks as `<code>`.
fn code(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        if index > 0 {
            html.push_str(if index % 2 == 1 { "<code>" } else { "</code>" });
        }
        html.push_str(part);
    }
    html
}
