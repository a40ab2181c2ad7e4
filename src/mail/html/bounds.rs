//! How large a tree a page becomes. A count of tags can't tell: end tags of elements that are
//! not open close nothing, and formatting that was never closed is opened again in every
//! paragraph, so that a hundred thousand tags make a billion elements, and one attribute a
//! hundred thousand.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use html5ever::interface::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tokenizer, TokenizerOpts};
use html5ever::{Attribute, ExpandedName, LocalName, QualName, TokenizerResult, local_name, ns};

use super::names::Names;
use super::scan::steps;

/// How deep elements may stand in one another, those counted that are opened again: browsers
/// stop at 512 too.
const DEPTH_MAX: usize = 512;

/// Nodes of the whole tree: a newsletter has some ten thousand.
const NODES_MAX: usize = 200_000;

/// What all elements of the tree may take once they are written out, in times the page: what is
/// opened again takes its attributes along, and honest pages do that a few times.
const WEIGHT_MAX: usize = 8;

/// The same, in bytes, for pages of a few lines.
const WEIGHT_LEAST: usize = 64 << 10;

/// How many siblings are looked through, altogether, for the one before which something is put, or
/// that is taken out: what stands in a table outside of its cells goes before the table, which is
/// looked for each time among all that went there before it. A letter has a few thousand.
const LOOKED_THROUGH_MAX: usize = 100_000_000;

/// How much is read between two looks at the bounds, in bytes.
const STEP: usize = 1024;

/// A page in names that the cleaner takes, and those names. It is read exactly as ammonia reads
/// it; `None` where it becomes no tree of bearable size.
pub(super) fn read(html: &str) -> Option<(String, HashSet<LocalName>)> {
    let over = Rc::new(Cell::new(false));
    let sink = Sink {
        nodes: RefCell::new(vec![Node::default()]),
        weight: Cell::new(0),
        weight_max: WEIGHT_LEAST.saturating_add(html.len().saturating_mul(WEIGHT_MAX)),
        looked_through: Cell::new(0),
        over: Rc::clone(&over),
        created: RefCell::default(),
    };
    let context = QualName::new(None, ns!(html), local_name!("div"));
    let context = sink.create_element(context, Vec::new(), ElementFlags::default());
    let names = Names::new(sink, context, html.len());
    let tokenizer = Tokenizer::new(names, TokenizerOpts::default());
    let input = BufferQueue::default();
    for step in steps(html, STEP).take_while(|_| !over.get()) {
        input.push_back(StrTendril::from_slice(step));
        // Scripts stop it, but are not run.
        while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    }
    tokenizer.end();
    (!over.get()).then(|| tokenizer.sink.finish())
}

#[derive(Default)]
struct Node {
    parent: Option<usize>,
    /// About how many it has.
    children: usize,
    depth: usize,
    /// A template holds its elements in a node of its own.
    contents: Option<usize>,
}

#[derive(Clone)]
pub(super) struct Handle {
    pub at: usize,
    pub name: Rc<QualName>,
    /// It stands in a formula, and what it holds does not.
    pub integration: bool,
}

impl Handle {
    fn nameless(at: usize) -> Handle {
        Handle {
            at,
            name: Rc::new(QualName::new(None, ns!(), local_name!(""))),
            integration: false,
        }
    }
}

/// A tree of which only the shape is kept.
pub(super) struct Sink {
    nodes: RefCell<Vec<Node>>,
    weight: Cell<usize>,
    weight_max: usize,
    looked_through: Cell<usize>,
    over: Rc<Cell<bool>>,
    /// The elements that were made since somebody looked.
    pub created: RefCell<Vec<Handle>>,
}

impl Sink {
    /// The page costs too much.
    pub(super) fn give_up(&self) {
        self.over.set(true);
    }

    /// Counts what an element is when it is written: both its tags, and its attributes.
    fn weigh(&self, name: &QualName, attributes: &[Attribute]) {
        let values = attributes
            .iter()
            .map(|a| a.name.local.len() + a.value.len());
        let weight = 2 * name.local.len() + values.sum::<usize>();
        let weight = self.weight.get().saturating_add(weight);
        self.weight.set(weight);
        if weight > self.weight_max {
            self.over.set(true);
        }
    }

    fn add(&self) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node::default());
        if nodes.len() > NODES_MAX {
            self.over.set(true);
        }
        nodes.len() - 1
    }

    fn parent(&self, at: usize) -> Option<usize> {
        self.nodes.borrow().get(at)?.parent
    }

    fn depth(&self, at: usize) -> usize {
        self.nodes.borrow().get(at).map_or(0, |node| node.depth)
    }

    /// Counts what it takes to find a node among its siblings.
    fn look_for(&self, at: usize) {
        let parent = self.parent(at).unwrap_or_default();
        let siblings = self.nodes.borrow().get(parent).map_or(0, |n| n.children);
        let looked_through = self.looked_through.get().saturating_add(siblings);
        self.looked_through.set(looked_through);
        if looked_through > LOOKED_THROUGH_MAX {
            self.over.set(true);
        }
    }

    fn put(&self, parent: usize, child: &NodeOrText<Handle>) {
        let child = match child {
            NodeOrText::AppendNode(handle) => handle.at,
            NodeOrText::AppendText(_) => self.add(),
        };
        let depth = self.depth(parent) + 1;
        let mut nodes = self.nodes.borrow_mut();
        if let Some(node) = nodes.get_mut(child) {
            node.parent = Some(parent);
            node.depth = depth;
        }
        if let Some(node) = nodes.get_mut(parent) {
            node.children += 1;
        }
        if depth > DEPTH_MAX {
            self.over.set(true);
        }
    }
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = ();
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) {}

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle::nameless(0)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        flags: ElementFlags,
    ) -> Handle {
        self.weigh(&name, &attributes);
        let at = self.add();
        if flags.template {
            let contents = self.add();
            if let Some(node) = self.nodes.borrow_mut().get_mut(at) {
                node.contents = Some(contents);
            }
        }
        let handle = Handle {
            at,
            name: Rc::new(name),
            integration: flags.mathml_annotation_xml_integration_point,
        };
        self.created.borrow_mut().push(handle.clone());
        handle
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        Handle::nameless(self.add())
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        Handle::nameless(self.add())
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.put(parent.at, &child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        previous: &Handle,
        child: NodeOrText<Handle>,
    ) {
        self.look_for(element.at);
        self.put(self.parent(element.at).unwrap_or(previous.at), &child);
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Handle) -> Handle {
        let depth = self.depth(target.at) + 1;
        let mut nodes = self.nodes.borrow_mut();
        let contents = nodes.get(target.at).and_then(|node| node.contents);
        let contents = contents.unwrap_or_default();
        if let Some(node) = nodes.get_mut(contents) {
            node.depth = depth;
        }
        Handle::nameless(contents)
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        one.at == other.at
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        self.look_for(sibling.at);
        self.put(self.parent(sibling.at).unwrap_or_default(), &child);
    }

    fn add_attrs_if_missing(&self, _: &Handle, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Handle) {
        self.look_for(target.at);
        if let Some(node) = self.nodes.borrow_mut().get_mut(target.at) {
            node.parent = None;
        }
    }

    /// The children are not known one by one; each such step makes a node, which is counted.
    fn reparent_children(&self, from: &Handle, to: &Handle) {
        let mut nodes = self.nodes.borrow_mut();
        let moved = nodes.get_mut(from.at).map(|node| &mut node.children);
        let moved = moved.map(std::mem::take).unwrap_or_default();
        if let Some(node) = nodes.get_mut(to.at) {
            node.children += moved;
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        handle.integration
    }
}
