//! Writes small files in MaxMind's format, for tests.

use ipnet::IpNet;

/// A value of the data section.
#[derive(Clone)]
pub(super) enum Value {
    Map(Vec<(String, Value)>),
    Text(String),
    Short(u16),
    Number(u32),
    Long(u64),
    Flag(bool),
    /// An empty list.
    List,
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Map(fields) => {
                control(7, fields.len(), out);
                for (name, value) in fields {
                    Value::Text(name.clone()).write(out);
                    value.write(out);
                }
            }
            Value::Text(text) => {
                control(2, text.len(), out);
                out.extend(text.as_bytes());
            }
            Value::Short(number) => {
                control(5, 2, out);
                out.extend(number.to_be_bytes());
            }
            Value::Long(number) => {
                control(9, 8, out);
                out.extend(number.to_be_bytes());
            }
            Value::Number(number) => {
                control(6, 4, out);
                out.extend(number.to_be_bytes());
            }
            Value::List => control(11, 0, out),
            Value::Flag(set) => control(14, usize::from(*set), out),
        }
    }
}

/// Type and size of a value; both are small here.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    assert!(size < 29, "tests need no larger ones");
    match kind {
        1..=7 => out.push(kind << 5 | size as u8),
        _ => out.extend([size as u8, kind - 7]),
    }
}

/// A node of the tree: for each bit, nothing, another node, or a value.
#[derive(Clone, Copy)]
enum Edge {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The bits of a network in a tree of IPv6, where IPv4 lies below `::/96`.
fn bits(net: &str) -> Vec<bool> {
    let net: IpNet = net.parse().unwrap();
    let (address, length) = match net {
        IpNet::V4(net) => (u128::from(net.network().to_bits()), 96 + u32::from(net.prefix_len())),
        IpNet::V6(net) => (net.network().to_bits(), u32::from(net.prefix_len())),
    };
    (0..length).map(|bit| address >> (127 - bit) & 1 == 1).collect()
}

/// A database of these networks.
pub(super) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Edge::Nothing; 2]];
    let mut data = Vec::new();
    for (net, value) in networks {
        let path = bits(net);
        let (last, path) = path.split_last().unwrap();
        let mut at = 0;
        for bit in path {
            at = match nodes[at][usize::from(*bit)] {
                Edge::Node(next) => next,
                _ => {
                    nodes.push([Edge::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[at][usize::from(*bit)] = Edge::Node(next);
                    next
                }
            };
        }
        nodes[at][usize::from(*last)] = Edge::Data(data.len());
        value.write(&mut data);
    }
    let mut out = Vec::new();
    let count = nodes.len();
    for edge in nodes.into_iter().flatten() {
        let record = match edge {
            Edge::Nothing => count,
            Edge::Node(node) => node,
            Edge::Data(offset) => count + 16 + offset,
        };
        out.extend((record as u32).to_be_bytes());
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(count).write(&mut out);
    out
}

fn metadata(nodes: usize) -> Value {
    let field = |name: &str, value| (name.to_owned(), value);
    let text = |value: &str| Value::Text(value.to_owned());
    Value::Map(vec![
        field("node_count", Value::Number(nodes as u32)),
        field("record_size", Value::Short(32)),
        field("ip_version", Value::Short(6)),
        field("database_type", text("Test")),
        field("binary_format_major_version", Value::Short(2)),
        field("binary_format_minor_version", Value::Short(0)),
        field("build_epoch", Value::Long(1_795_000_000)),
        field("languages", Value::List),
        field("description", Value::Map(vec![field("en", text("Test"))])),
    ])
}
