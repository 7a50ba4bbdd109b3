//! The order of a module's functions: like beside like, and of equal ones only one.
//!
//! WebAssembly asks for none. Compression does: it finds what it has just seen, gzip at most 32 kB back, and
//! the copies of one generic function are much alike. wasm-bindgen writes the longest first.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

/// What two functions have in common is counted in pieces of this many bytes.
const PIECE: usize = 6;

/// What more functions have than this says nothing of any.
const MAX_HOLDERS: usize = 200;

/// What likeness to the function before counts, and to those before it.
const WEIGHTS: [u32; 4] = [12, 6, 4, 3];

/// Puts the functions of a module into the order in which it is compressed best.
pub(crate) fn file(path: &Path) -> Result<()> {
    let module = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    fs::write(path, ordered(&module)?)
        .with_context(|| format!("could not write {}", path.display()))
}

fn ordered(module: &[u8]) -> Result<Vec<u8>> {
    let mut module = module.to_vec();
    // Those that call functions which were equal may be equal then.
    loop {
        let functions = Functions::of(&module)?;
        let merged = functions.merged();
        if merged.kept.len() == functions.bodies.len() {
            break;
        }
        module = merged.write(&module)?;
    }
    let functions = Functions::of(&module)?;
    functions.ordered().write(&module)
}

/// What a module has of its own.
struct Functions<'a> {
    /// How many stand before them that it imports.
    imported: u32,
    types: Vec<u32>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Functions<'a> {
    fn of(module: &'a [u8]) -> Result<Self> {
        let mut found = Self {
            imported: 0,
            types: Vec::new(),
            bodies: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        if matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                            found.imported += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    found.types = section.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::CodeSectionEntry(body) => found.bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The first of each that are equal.
    fn merged(&self) -> Arrangement {
        let mut firsts = HashMap::new();
        let mut kept = Vec::new();
        let places = self.types.iter().zip(&self.bodies).enumerate();
        let places = places.map(|(number, function)| {
            *firsts.entry(function).or_insert_with(|| {
                kept.push(number);
                kept.len() - 1
            })
        });
        let places = places.collect();
        Arrangement {
            imported: self.imported,
            kept,
            places,
        }
    }

    /// Begins with the longest; after each comes the one that is most like the last few.
    fn ordered(&self) -> Arrangement {
        let pieces: Vec<Vec<[u8; PIECE]>> = self.bodies.iter().map(|body| pieces(body)).collect();
        let mut holders: HashMap<[u8; PIECE], Vec<usize>> = HashMap::new();
        for (number, pieces) in pieces.iter().enumerate() {
            for piece in pieces {
                holders.entry(*piece).or_default().push(number);
            }
        }
        let mut by_length: Vec<usize> = (0..self.bodies.len()).collect();
        by_length.sort_by_key(|number| self.bodies[*number].len());

        let mut kept: Vec<usize> = Vec::new();
        let mut places = vec![None; self.bodies.len()];
        let mut likeness = vec![0_u32; self.bodies.len()];
        while kept.len() < self.bodies.len() {
            let mut alike = Vec::new();
            for (last, weight) in kept.iter().rev().zip(WEIGHTS) {
                let holders = pieces[*last].iter().map(|piece| &holders[piece]);
                for holder in holders
                    .filter(|holders| holders.len() < MAX_HOLDERS)
                    .flatten()
                {
                    if places[*holder].is_none() {
                        if likeness[*holder] == 0 {
                            alike.push(*holder);
                        }
                        likeness[*holder] += weight;
                    }
                }
            }
            // By its own size, and a little more: what is short is soon alike.
            let score = |number: &usize| {
                u64::from(likeness[*number]) * 1_000_000 / (pieces[*number].len() + 20) as u64
            };
            let next = alike
                .iter()
                .max_by(|a, b| score(a).cmp(&score(b)).then(b.cmp(a)))
                .copied();
            for number in alike {
                likeness[number] = 0;
            }
            let next = next.or_else(|| {
                std::iter::from_fn(|| by_length.pop()).find(|number| places[*number].is_none())
            });
            let Some(next) = next else { break };
            places[next] = Some(kept.len());
            kept.push(next);
        }
        Arrangement {
            imported: self.imported,
            kept,
            places: places.into_iter().flatten().collect(),
        }
    }
}

/// The different pieces of a function.
fn pieces(body: &[u8]) -> Vec<[u8; PIECE]> {
    let mut pieces: Vec<_> = body
        .windows(PIECE)
        .filter_map(|piece| piece.try_into().ok())
        .collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// Which functions stay, and where.
struct Arrangement {
    imported: u32,
    /// Their former numbers, without those that are imported.
    kept: Vec<usize>,
    /// Where each is now.
    places: Vec<usize>,
}

impl Arrangement {
    fn write(mut self, module: &[u8]) -> Result<Vec<u8>> {
        let mut written = Module::new();
        self.parse_core_module(&mut written, Parser::new(0), module)?;
        Ok(written.finish())
    }
}

impl Reencode for Arrangement {
    type Error = Infallible;

    fn function_index(&mut self, number: u32) -> Result<u32, Error> {
        let own = number.checked_sub(self.imported);
        let place = own.and_then(|own| self.places.get(own as usize));
        Ok(place.map_or(number, |place| self.imported + *place as u32))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        let types: Vec<u32> = section.into_iter().collect::<Result<_, _>>()?;
        for number in &self.kept {
            functions.function(types[*number]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        let bodies: Vec<_> = section.into_iter().collect::<Result<_, _>>()?;
        for number in self.kept.clone() {
            self.parse_function_body(code, bodies[number].clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
        ImportSection, RefType, TableSection, TableType, TypeSection,
    };
    use wasmparser::{ExternalKind, Operator};

    use super::*;

    /// What each function does: calls one, and leaves a few numbers. The first is imported.
    fn module(functions: &[(u32, i32)]) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut imports = ImportSection::new();
        imports.import("from", "elsewhere", EntityType::Function(0));
        let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
        let (mut exports, mut numbers) = (ExportSection::new(), Vec::new());
        for (number, (calls, leaves)) in (1..).zip(functions) {
            declared.function(0);
            let mut body = Function::new([]);
            for _ in 0..8 {
                body.instructions().i32_const(*leaves).drop();
            }
            body.instructions().call(*calls).end();
            code.function(&body);
            exports.export(&number.to_string(), ExportKind::Func, number);
            numbers.push(number);
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: numbers.len() as u64,
            maximum: None,
            shared: false,
        });
        let mut elements = ElementSection::new();
        elements.active(
            None,
            &ConstExpr::i32_const(0),
            Elements::Functions(numbers.into()),
        );
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&declared)
            .section(&tables)
            .section(&exports)
            .section(&elements)
            .section(&code);
        module.finish()
    }

    /// What a module does: of each function the number that it calls and the one that it leaves; and where those
    /// are now that were exported and those that stand in the table.
    fn read(module: &[u8]) -> (Vec<(u32, i32)>, Vec<u32>, Vec<u32>) {
        let (mut functions, mut exports, mut table) = (Vec::new(), Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload.expect("a module") {
                Payload::CodeSectionEntry(body) => {
                    let mut function = (0, 0);
                    for operator in body.get_operators_reader().expect("operators") {
                        match operator.expect("an operator") {
                            Operator::Call { function_index } => function.0 = function_index,
                            Operator::I32Const { value } => function.1 = value,
                            _ => {}
                        }
                    }
                    functions.push(function);
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.expect("an export");
                        assert_eq!(export.kind, ExternalKind::Func);
                        exports.push(export.index);
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        let items = element.expect("elements").items;
                        let wasmparser::ElementItems::Functions(items) = items else {
                            panic!("other elements")
                        };
                        table.extend(items.into_iter().map(|item| item.expect("a number")));
                    }
                }
                _ => {}
            }
        }
        (functions, exports, table)
    }

    #[test]
    fn like_comes_to_like_and_calls_lead_where_they_led() {
        // The first and the third are alike but for what they call; so are the second and the fourth.
        let before = module(&[(0, 1_000_000), (1, 70), (2, 1_000_000), (3, 70)]);
        let after = ordered(&before).expect("it is ordered");
        wasmparser::validate(&after).expect("it is a module");

        let (functions, exports, table) = read(&after);
        assert_eq!(exports, table);
        let place = |number: u32| {
            if number == 0 {
                0
            } else {
                exports[number as usize - 1]
            }
        };
        for (number, (calls, leaves)) in [
            (1, (0, 1_000_000)),
            (2, (1, 70)),
            (3, (2, 1_000_000)),
            (4, (3, 70)),
        ] {
            assert_eq!(
                functions[place(number) as usize - 1],
                (place(calls), leaves)
            );
        }
        assert_eq!(exports[0].abs_diff(exports[2]), 1);
        assert_eq!(exports[1].abs_diff(exports[3]), 1);
        assert_eq!(ordered(&before).expect("again"), after);
    }

    #[test]
    fn of_equal_ones_there_is_one() {
        // The second calls the first, the fourth the third, which are equal: so these are as well.
        let after = ordered(&module(&[(0, 7), (1, 8), (0, 7), (3, 8)])).expect("it is ordered");
        wasmparser::validate(&after).expect("it is a module");

        let (functions, exports, table) = read(&after);
        assert_eq!(functions.len(), 2);
        assert_eq!(exports[0], exports[2]);
        assert_eq!(exports[1], exports[3]);
        assert_eq!(exports, table);
        assert_eq!(functions[exports[1] as usize - 1], (exports[0], 8));
    }
}
