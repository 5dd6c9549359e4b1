//! Links between pages of the repository.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use crate::sources::{Source, root};

pub fn broken(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for page in sources.iter().filter(|source| source.path.ends_with(".md")) {
        for link in links(&page.text) {
            if let Some(problem) = problem(sources, page, link) {
                wrong.push(format!("{}: link `{link}`: {problem}", page.path));
            }
        }
    }
    wrong
}

/// Targets of `[text](target)` outside of code that stay in the repository.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let prose = text.lines().filter(move |line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced
    });
    let targets = prose.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    targets
        .map(|target| target.split(' ').next().unwrap_or(target))
        .filter(|target| !target.contains(':'))
        .collect()
}

fn problem(sources: &[Source], page: &Source, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { page.path.clone() } else { resolved(&page.path, path) };
    if !root().join(&target).exists() {
        return Some(format!("there is no {target}"));
    }
    let headings =
        sources.iter().find(|s| s.path == target && target.ends_with(".md")).map(|s| anchors(&s.text))?;
    anchor
        .filter(|anchor| !headings.contains(*anchor))
        .map(|anchor| format!("{target} has no heading #{anchor}"))
}

/// A relative path from a page, without `.` and `..`.
fn resolved(page: &str, path: &str) -> String {
    let mut parts: Vec<Component> = Vec::new();
    let joined: PathBuf = Path::new(page).parent().unwrap_or(Path::new("")).join(path);
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            part => parts.push(part),
        }
    }
    parts.iter().collect::<PathBuf>().to_string_lossy().replace('\\', "/")
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> HashSet<String> {
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(slug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_resolved() {
        assert_eq!(
            links("[a](b.md#c) [d](https://e) ![f](g.png \"t\")\n```\n[x](y)\n```\n"),
            ["b.md#c", "g.png"]
        );
        assert_eq!(resolved("docs/a.md", "../b/./c.md"), "b/c.md");
        assert!(anchors("## The `server.listen` key\n").contains("the-serverlisten-key"));
    }
}
