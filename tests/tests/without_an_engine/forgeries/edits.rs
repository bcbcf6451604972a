//! Every structural edit of a file, in every place of it.

use serde_json::Value;

use crate::forgeries::node::Node;

/// A file with one thing done to it.
pub struct Edit {
    /// What was done, and where.
    pub what: String,
    /// The file.
    pub text: String,
    /// The place, as a JSON Pointer.
    place: String,
    /// The sequence of the entry that it is in, and of the last one of the file.
    entry: Option<(u64, u64)>,
}

/// A way to edit what stands at a place; none where there is nothing to be done.
type Way = (&'static str, fn(&mut Node) -> Option<()>);

/// What can be done to a value.
const OF_ANY: [Way; 3] = [
    ("set to null", |node| {
        change(node, &Node::Leaf("null".into()))
    }),
    ("made a text", |node| {
        change(node, &Node::Leaf("\"genuine\"".into()))
    }),
    ("put into a list", |node| {
        *node = Node::List(vec![node.clone()]);
        Some(())
    }),
];

/// What can be done to a text or a number.
const OF_A_LEAF: [Way; 4] = [
    ("made an object", |node| {
        leaf(node).map(|_| *node = Node::Object(Vec::new()))
    }),
    ("lengthened", |node| {
        leaf(node)?
            .strip_suffix('"')
            .map(str::to_owned)
            .map(|text| *node = Node::Leaf(format!("{text}x\"")))
    }),
    ("made one more", |node| {
        leaf(node)?
            .parse::<u64>()
            .ok()
            .map(|number| *node = Node::Leaf((number + 1).to_string()))
    }),
    ("made a fraction", |node| {
        leaf(node)?
            .parse::<u64>()
            .ok()
            .map(|number| *node = Node::Leaf(format!("{number}.0")))
    }),
];

/// What can be done to an object as such.
const OF_AN_OBJECT: [Way; 3] = [
    ("given a verdict", |node| {
        members(node)
            .map(|members| members.push(("verdict".into(), Node::Leaf("\"genuine\"".into()))))
    }),
    ("given a nameless member", |node| {
        members(node).map(|members| members.push((String::new(), Node::Leaf("1".into()))))
    }),
    ("emptied", |node| {
        members(node)
            .filter(|members| !members.is_empty())
            .map(Vec::clear)
    }),
];

/// What can be done to a member, by its place.
type MemberWay = (&'static str, fn(&mut Vec<(String, Node)>, usize));

const OF_A_MEMBER: [MemberWay; 5] = [
    ("written twice", |members, place| {
        members.insert(place + 1, members[place].clone());
    }),
    (
        "written twice, first as something else",
        |members, place| {
            members.insert(
                0,
                (members[place].0.clone(), Node::Leaf("\"genuine\"".into())),
            );
        },
    ),
    ("written twice, last as something else", |members, place| {
        members.push((members[place].0.clone(), Node::Leaf("\"genuine\"".into())));
    }),
    ("dropped", |members, place| drop(members.remove(place))),
    ("renamed", |members, place| members[place].0.push('x')),
];

/// What can be done to an item, by its place.
type ItemWay = (&'static str, fn(&mut Vec<Node>, usize));

const OF_AN_ITEM: [ItemWay; 4] = [
    ("written twice", |items, place| {
        items.insert(place, items[place].clone());
    }),
    ("dropped", |items, place| drop(items.remove(place))),
    ("moved to the front", |items, place| {
        items[..=place].rotate_right(1);
    }),
    ("moved to the end", |items, place| {
        items[place..].rotate_left(1);
    }),
];

/// All edits of `file`.
pub fn all(file: &Value) -> Vec<Edit> {
    let mut walk = Walk {
        whole: Node::of(file),
        edits: Vec::new(),
        sequences: sequences(file),
    };
    let whole = walk.whole.clone();
    walk.visit(&whole, &mut Vec::new(), "");
    walk.edits
}

fn sequences(file: &Value) -> Vec<u64> {
    file["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["sequence"].as_u64().unwrap())
        .collect()
}

struct Walk {
    whole: Node,
    edits: Vec<Edit>,
    sequences: Vec<u64>,
}

impl Walk {
    fn visit(&mut self, node: &Node, path: &mut Vec<usize>, place: &str) {
        OF_ANY
            .iter()
            .chain(&OF_A_LEAF)
            .chain(&OF_AN_OBJECT)
            .for_each(|way| self.edit(*way, path, place));
        for (number, (name, child)) in node.children().into_iter().enumerate() {
            let there = format!("{place}/{name}");
            for way in OF_A_MEMBER {
                self.edit_member(way, path, number, &there);
            }
            for way in OF_AN_ITEM {
                self.edit_item(way, path, number, &there);
            }
            path.push(number);
            self.visit(child, path, &there);
            path.pop();
        }
    }

    fn edit(&mut self, (name, way): Way, path: &[usize], place: &str) {
        let mut whole = self.whole.clone();
        if way(whole.at(path)).is_some() {
            self.keep(name, &whole, place);
        }
    }

    fn edit_member(&mut self, (name, way): MemberWay, path: &[usize], number: usize, place: &str) {
        let mut whole = self.whole.clone();
        if let Node::Object(members) = whole.at(path) {
            way(members, number);
            self.keep(name, &whole, place);
        }
    }

    fn edit_item(&mut self, (name, way): ItemWay, path: &[usize], number: usize, place: &str) {
        let mut whole = self.whole.clone();
        if let Node::List(items) = whole.at(path) {
            way(items, number);
            self.keep(name, &whole, place);
        }
    }

    fn keep(&mut self, name: &str, whole: &Node, place: &str) {
        if *whole == self.whole {
            return;
        }
        let number = place
            .strip_prefix("/entries/")
            .and_then(|rest| rest.split('/').next()?.parse::<usize>().ok());
        let last = self.sequences.last().copied().unwrap_or_default();
        let entry = number
            .and_then(|number| self.sequences.get(number))
            .map(|sequence| (*sequence, last));
        self.edits.push(Edit {
            what: format!("{place} {name}"),
            text: whole.text(),
            place: place.to_owned(),
            entry,
        });
    }
}

impl Edit {
    /// Whether a finding in these words names the place: by its pointer, which may be renamed, or
    /// by what stands there.
    pub fn is_named_by(&self, said: &str) -> bool {
        // Of a whole that was put into a list, there is no place.
        let named = [format!("{} ", self.place), format!("{}x ", self.place)]
            .iter()
            .any(|place| said.contains(place));
        if self.place.is_empty() || named || said.ends_with(&self.place) {
            return true;
        }
        if let Some((sequence, last)) = self.entry {
            let of_the_entry = said.contains(&format!("entry {sequence} "))
                || said.contains(&format!("entry {sequence},"));
            // Of two neighbours that changed places either was moved; of an entry's own sequence,
            // the one that it takes is in its place.
            let beside = [sequence - 1, sequence + 1]
                .iter()
                .any(|beside| said.contains(&format!("entry {beside} ")));
            let cut_off = sequence == last && said.contains("cut off");
            return of_the_entry || beside || cut_off || said.contains(&format!("{}/", self.place));
        }
        let member = self.place.split('/').nth(1).unwrap_or_default();
        let words = match member {
            "agreement" | "recipients" => "what is said of the agreement and its recipients",
            "part" => "which part it is",
            "count" => "the count of entries",
            "head" => "the hash of the last entry",
            "issued_at" => "the time of the report",
            "signature" => "the signature does not hold",
            "entries" => "cut off",
            _ => return false,
        };
        said.contains(words) || said.contains(&format!("{}/", self.place))
    }
}

fn leaf(node: &Node) -> Option<String> {
    match node {
        Node::Leaf(text) => Some(text.clone()),
        _ => None,
    }
}

fn members(node: &mut Node) -> Option<&mut Vec<(String, Node)>> {
    match node {
        Node::Object(members) => Some(members),
        _ => None,
    }
}

fn change(node: &mut Node, to: &Node) -> Option<()> {
    (node != to).then(|| *node = to.clone())
}
