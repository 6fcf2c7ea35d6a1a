//! What an order costs: a pure function, and its refusals.

use selvedge_guest::{Failure, export, print};
use serde::{Deserialize, Serialize};

/// Above this many pieces of one kind there is a discount.
const MANY: u64 = 10;
/// In percent.
const DISCOUNT: u64 = 5;

#[derive(Deserialize)]
struct Order {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    sku: String,
    count: u64,
    cents: u64,
}

#[derive(Serialize)]
struct Price {
    cents: u64,
    lines: Vec<u64>,
}

fn price(order: Order) -> Result<Price, Failure> {
    if order.items.is_empty() {
        return Err(Failure::new("nothing is ordered").code("empty").never_again());
    }
    let mut lines = Vec::new();
    for item in &order.items {
        let whole = item.count.checked_mul(item.cents);
        let whole = whole.ok_or_else(|| too_much(&item.sku))?;
        let line = if item.count >= MANY { whole - whole / 100 * DISCOUNT } else { whole };
        print(format_args!("{} x {}: {line}", item.count, item.sku));
        lines.push(line);
    }
    Ok(Price { cents: lines.iter().sum(), lines })
}

fn too_much(sku: &str) -> Failure {
    let details = std::collections::BTreeMap::from([("sku", sku)]);
    Failure::new("no such amount exists").code("amount").details(details).never_again()
}

export!(price);
