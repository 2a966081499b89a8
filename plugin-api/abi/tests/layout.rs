//! The golden of the wire ABI: every type and function signature reachable from the root of a plugin library.
//! It must not know what any of them is for.

use std::fmt::Write;

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TLFields, TLFunction, TypeLayout};
use expect_test::expect_file;
use rivet_plugin_abi::PluginLibraryRef;
use rivet_plugin_abi::abi_stable;

const OUR_PACKAGE: &str = "rivet-plugin-abi";

/// Every type below `layout`; types of other packages are walked through, since ours hide in them.
fn collect(layout: &'static TypeLayout, all: &mut Vec<&'static TypeLayout>) {
    if all.iter().all(|known| known.get_utypeid() != layout.get_utypeid()) {
        all.push(layout);
        for below in below(layout) {
            collect(below, all);
        }
    }
}

fn below(layout: &'static TypeLayout) -> impl Iterator<Item = &'static TypeLayout> {
    layout.shared_vars().type_layouts().iter().chain(layout.generics().type_params()).map(|below| below())
}

/// Name of a type with its arguments, which `abi_stable` leaves out of the names of its own generic types.
fn name(layout: &'static TypeLayout) -> String {
    let plain = layout.full_type().to_string().replace("  ", " ").trim_end().to_owned();
    match layout.name() {
        "RResult" | "Tuple2" | "ROption" => format!("{plain}{{{}}}", arguments(layout)),
        "RVec" | "RSlice" | "RSliceMut" => {
            format!("{plain}{{{}}}", below(layout).next().map_or_else(String::new, pointee))
        }
        _ => plain,
    }
}

fn arguments(layout: &'static TypeLayout) -> String {
    below(layout).map(name).collect::<Vec<_>>().join(", ")
}

fn pointee(pointer: &'static TypeLayout) -> String {
    below(pointer).map(name).last().unwrap_or_default()
}

fn signature(function: &TLFunction) -> String {
    let unsafety = if function.fn_qualifs.is_unsafe() { "unsafe " } else { "" };
    let parameters: Vec<String> = function.param_type_layouts.iter().map(|p| name(p())).collect();
    let result = function.return_type_layout().map_or("()".to_owned(), |result| name(result()));
    format!("{unsafety}fn({}) -> {result}", parameters.join(", "))
}

fn describe(layout: &'static TypeLayout) -> String {
    let (size, alignment, repr) = (layout.size(), layout.alignment(), layout.repr_attr());
    let mut out = String::new();
    match layout.data() {
        TLData::Struct { fields } => {
            let _ = writeln!(out, "{}: {repr:?}, size {size}, alignment {alignment}", name(layout));
            describe_fields(fields, None, &mut out);
        }
        TLData::PrefixType(prefix) => {
            // Its size grows with each function, which is no break.
            let _ = writeln!(out, "{}: function table, alignment {alignment}", name(layout));
            describe_fields(prefix.fields, Some(usize::from(prefix.first_suffix_field)), &mut out);
        }
        other => panic!("{}: no rule for {other}", name(layout)),
    }
    out
}

fn describe_fields(fields: TLFields, first_optional: Option<usize>, out: &mut String) {
    for (i, field) in fields.iter().enumerate() {
        let optional = if first_optional.is_some_and(|first| i >= first) { " (optional)" } else { "" };
        let functions: Vec<String> = field.function_range().iter().map(|f| signature(&f)).collect();
        let text = match (field.is_function(), functions.is_empty()) {
            (true, _) => functions.join(", "),
            (false, true) => name(field.layout()),
            (false, false) => format!("{} of {}", name(field.layout()), functions.join(", ")),
        };
        let _ = writeln!(out, "    {}: {text}{optional}", field.name());
    }
}

#[test]
fn the_layout_is_the_golden_one() {
    let mut all = Vec::new();
    collect(<PluginLibraryRef as StableAbi>::LAYOUT, &mut all);
    let mut ours: Vec<_> = all.into_iter().filter(|layout| layout.package() == OUR_PACKAGE).map(describe).collect();
    ours.sort();
    let text = ours.join("\n");
    for name in ["PluginLibrary", "SessionVtable", "StoreVtable", "ReadAtVtable", "AbiError", "ArrowArray", "HostApi"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "the dump does not reach {name}");
    }
    eprintln!(
        "If this differs: a changed or removed line breaks every plugin that was built before. Lines appended to a \
         function table are fine once the patch version of {OUR_PACKAGE} is raised; then run with UPDATE_EXPECT=1."
    );
    expect_file!["layout.golden.txt"].assert_eq(&text);
}
