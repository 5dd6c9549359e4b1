use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

const RELS: &str = r#"<Relationships xmlns="x">
    <Relationship Id="rId1" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const WORKBOOK: &str =
    r#"<workbook xmlns:r="y"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const RELATED: &str = r#"<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>
    <Relationship Id="rId2" Type="http://x/sharedStrings" Target="/xl/sharedStrings.xml"/></Relationships>"#;

/// An archive as strangers may write it: `length` is what it says of each file's length.
fn zipped(files: &[(&str, &[u8])], flags: u16, length: Option<u32>) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(data).unwrap();
        let packed = packer.finish().unwrap();
        let at = u32::try_from(out.len()).unwrap();
        let mut head = Vec::new();
        for short in [20, flags, 8, 0, 0] {
            head.extend(u16::to_le_bytes(short));
        }
        let mut sum = flate2::Crc::new();
        sum.update(data);
        head.extend(sum.sum().to_le_bytes());
        head.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        head.extend(length.unwrap_or(u32::try_from(data.len()).unwrap()).to_le_bytes());
        head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        head.extend([0; 2]);
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(name.as_bytes());
        out.extend(packed);
        list.extend(b"PK\x01\x02\x14\x00");
        list.extend(&head);
        list.extend([0; 10]);
        list.extend(at.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (at, size) = (u32::try_from(out.len()).unwrap(), u32::try_from(list.len()).unwrap());
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    out.extend(list);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend([count, count].concat());
    out.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    out.extend([0; 2]);
    out
}

fn workbook(sheet: &str, strings: &str) -> Vec<u8> {
    let files: [(&str, &[u8]); 5] = [
        ("_rels/.rels", RELS.as_bytes()),
        ("xl/workbook.xml", WORKBOOK.as_bytes()),
        ("xl/_rels/workbook.xml.rels", RELATED.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ];
    zipped(&files, 0, None)
}

fn sheet(rows: &str) -> Vec<u8> {
    workbook(&format!("<worksheet><sheetData>{rows}</sheetData></worksheet>"), "<sst/>")
}

fn read(file: &[u8]) -> Vec<(usize, Vec<String>)> {
    rows(file, 1_000).unwrap()
}

/// What is said about a file that is no table.
fn refusal(file: &[u8]) -> &'static str {
    rows(file, 100_000).unwrap_err().problem
}

#[test]
fn workbooks_that_others_wrote() {
    let found = read(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/openpyxl.xlsx")));
    let shown: Vec<(usize, &str, &str)> =
        found.iter().map(|(row, cells)| (*row, cells[0].as_str(), cells[1].as_str())).collect();
    assert_eq!(
        shown,
        [
            (1, "Phone number", "First name"),
            (2, "+6591230001", "Ann & Bo <x>"),
            (3, "6591230002", "Ünal 码"),
            (5, "91230003", "Chloé"),
            (6, "not a number", "D")
        ]
    );
    assert_eq!(
        (found[1].1[4].as_str(), found[2].1[4].as_str(), found[3].1[3].as_str()),
        ("1.5", "TRUE", "SG")
    );
    assert_eq!(found[2].1[2], "", "a formula that was never worked out is empty");
    let found = read(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/xlsxwriter.xlsx")));
    assert_eq!(found[1], (2, vec!["+6591230001".to_owned(), "Anna".to_owned(), "gold".to_owned()]));
    assert_eq!(found[2].1, ["6591230002", "Bo"], "the hidden sheet is not looked at");
}

#[test]
fn cells_are_read_as_their_text() {
    let strings = "<sst uniqueCount=\"18446744073709551615\"><si><t>a&amp;b</t></si><si><r><t>c</t></r><r><t>d</t></r>\
        <rPh><t>x</t></rPh></si><si/></sst>";
    let cells = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"C1\" t=\"s\"><v>1</v></c></row>\
        <row r=\"3\"><c t=\"inlineStr\"><is><t>'+65</t></is></c><c><f>1+1</f><v>6.591234567E9</v></c>\
        <c t=\"e\"><v>#REF!</v></c><c t=\"b\"><v>0</v></c><c><v>&#49;2</v></c><c t=\"s\"><v>2</v></c></row>\
        <row r=\"4\"><c r=\"A4\"/></row>";
    let xml = format!("<worksheet><sheetData>{cells}</sheetData></worksheet>");
    let found = read(&workbook(&xml, strings));
    assert_eq!(found[0], (1, ["a&b", "", "cd"].map(str::to_owned).to_vec()));
    assert_eq!(found[1], (3, ["+65", "6591234567", "#REF!", "FALSE", "12"].map(str::to_owned).to_vec()));
    assert_eq!(found.len(), 2, "an empty row is left out");
}

#[test]
fn hostile_workbooks_are_refused() {
    let laughs = "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><worksheet><sheetData>\
        <row><c t=\"inlineStr\"><is><t>&b;</t></is></c></row></sheetData></worksheet>";
    let external = "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><worksheet/>";
    for doctype in [laughs, external] {
        assert!(refusal(&workbook(doctype, "<sst/>")).contains("document type"), "{doctype}");
        assert!(refusal(&workbook("<worksheet/>", doctype)).contains("document type"));
    }
    let cell = |text: &str| sheet(&format!("<row><c t=\"inlineStr\"><is><t>{text}</t></is></c></row>"));
    assert!(refusal(&cell("&e;")).contains("entity"));
    assert!(refusal(&cell(&"x".repeat(40_000))).contains("cell"));
    assert!(refusal(&cell("</is>")).contains("well-formed"));
    assert!(refusal(&sheet(&"<a>".repeat(100))).contains("deep"));
    assert!(refusal(&sheet("<row r=\"2\"></row><row r=\"1\"></row>")).contains("order"));
    assert!(refusal(&sheet("<row r=\"99999999999999999999\"></row>")).contains("order"));
    assert!(refusal(&sheet("<row><c r=\"XFD1\"><v>1</v></c></row>")).contains("256"));
    assert!(refusal(&sheet("<row><c r=\"ZZZZZZZZZZZZZZZZ1\"><v>1</v></c></row>")).contains("256"));
    assert!(refusal(&sheet("<row><c t=\"s\"><v>7</v></c></row>")).contains("cell"));
    let utf16: Vec<u8> = "\u{feff}<worksheet/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut files: Vec<(&str, &[u8])> =
        vec![("xl/workbook.xml", WORKBOOK.as_bytes()), ("xl/_rels/workbook.xml.rels", RELATED.as_bytes())];
    files.push(("xl/worksheets/sheet1.xml", &utf16));
    assert!(refusal(&zipped(&files, 0, None)).contains("well-formed"));
    let elsewhere = RELATED.replace("Target=\"worksheets", "TargetMode=\"External\" Target=\"http://x");
    let files =
        [("xl/workbook.xml", WORKBOOK.as_bytes()), ("xl/_rels/workbook.xml.rels", elsewhere.as_bytes())];
    assert!(refusal(&zipped(&files, 0, None)).contains("no sheet"), "nothing is looked up elsewhere");
}

#[test]
fn what_unpacks_to_too_much_is_refused_whatever_it_says_of_itself() {
    // Some hundred kilobytes that would be as many megabytes.
    let spaces = format!("<worksheet><sheetData>{}</sheetData></worksheet>", " ".repeat(257 << 20));
    let strings = format!("<sst>{}</sst>", "<si><t>aaaaaaaaaaaa</t></si>".repeat(3_000_000));
    let (bomb, shared) = (workbook(&spaces, "<sst/>"), workbook("<worksheet/>", &strings));
    assert!(bomb.len() < 1 << 20 && refusal(&bomb).contains("unpacks"));
    drop(spaces);
    let refused = refusal(&shared);
    assert!(refused.contains("unpacks") || refused.contains("more text"), "{refused}");
    let many = workbook("<worksheet/>", &format!("<sst>{}</sst>", "<si/>".repeat(1_000_001)));
    assert!(refusal(&many).contains("more text"));
    // One long text in many cells.
    let cells = "<row><c t=\"s\"><v>0</v></c></row>".repeat(6_000);
    let text = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(32_767));
    let xml = format!("<worksheet><sheetData>{cells}</sheetData></worksheet>");
    assert!(refusal(&workbook(&xml, &text)).contains("more text"));
}

#[test]
fn rows_beyond_what_is_wanted_are_not_read() {
    let many = sheet(&"<row><c><v>6591234567</v></c></row>".repeat(100_002));
    assert_eq!(rows(&many, 100_000).unwrap().len(), 100_002, "one more than a table may have");
    let more = sheet(&("<row><c><v>1</v></c></row>".repeat(12) + "<row><c t=\"s\"><v>9</v></c></row>"));
    assert_eq!(rows(&more, 10).unwrap().len(), 12, "what follows is not looked at");
}

#[test]
fn what_is_no_workbook_is_said_to_be_none() {
    let good = sheet("<row><c><v>1</v></c></row>");
    assert!(is_workbook(&good) && !is_workbook(b"phone\n+65") && is_workbook(&OLD));
    assert!(refusal(&OLD).contains("encrypted"));
    assert!(refusal(&zipped(&[("xl/workbook.xml", b"x")], 1, None)).contains("encrypted"));
    assert!(refusal(b"PK\x03\x04 not an archive").contains("no workbook"));
    assert!(refusal(&zipped(&[("word/document.xml", b"<x/>")], 0, None)).contains("no sheet"));
    assert_eq!(rows(&zipped_with_lies(), 10).unwrap().len(), 1, "its own length is not believed");
    // Cut off or changed anywhere, it is read or refused, and no more than that.
    for at in 0..good.len() {
        let _ = rows(&good[..at], 10);
        let mut changed = good.clone();
        changed[at] ^= 0xff;
        let _ = rows(&changed, 10);
    }
}

fn zipped_with_lies() -> Vec<u8> {
    let xml = "<worksheet><sheetData><row><c><v>1</v></c></row></sheetData></worksheet>";
    let files: [(&str, &[u8]); 3] = [
        ("xl/workbook.xml", WORKBOOK.as_bytes()),
        ("xl/_rels/workbook.xml.rels", RELATED.as_bytes()),
        ("xl/worksheets/sheet1.xml", xml.as_bytes()),
    ];
    zipped(&files, 0, Some(u32::MAX))
}
