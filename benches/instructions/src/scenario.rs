//! What is counted, and the frame by which callgrind knows it.

use crate::decisions::{self, Decision};
use crate::requests::{self, Over, Request};

/// How often a scenario's work is counted.
pub(crate) const TIMES: u64 = 50;
/// How often it is done before, so that statements are compiled and tables have grown.
pub(crate) const BEFORE: u64 = 20;

/// One thing whose instructions are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scenario {
    /// A decision of the engine alone.
    Decide(Decision),
    /// A request through `App::handle`.
    Handle(Request, Over),
}

impl Scenario {
    /// All of them.
    pub(crate) fn all() -> Vec<Scenario> {
        let decisions = Decision::ALL.into_iter().map(Scenario::Decide);
        let requests = Request::ALL.into_iter();
        let requests = requests.flat_map(|request| Over::ALL.map(|over| Scenario::Handle(request, over)));
        decisions.chain(requests).collect()
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Scenario> {
        Scenario::all().into_iter().find(|scenario| scenario.name() == name)
    }

    /// Its name: `decide/start`, `handle/claim/stub`.
    pub(crate) fn name(&self) -> String {
        match self {
            Scenario::Decide(decision) => format!("decide/{}", decision.name()),
            Scenario::Handle(request, over) => format!("handle/{}/{}", request.name(), over.name()),
        }
    }

    /// Does the work, [`TIMES`] of it within [`counted`].
    pub(crate) fn carry_out(&self) {
        match self {
            Scenario::Decide(decision) => decisions::carry_out(*decision),
            Scenario::Handle(request, over) => requests::carry_out(*request, *over),
        }
    }
}

/// Whether a piece of work is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Yes,
    No,
}

/// Does the work, within [`counted`] if it counts.
pub(crate) fn step<T>(count: Count, work: impl FnOnce() -> T) -> T {
    let mut work = Some(work);
    let mut result = None;
    let mut once = || result = work.take().map(|work| work());
    match count {
        Count::Yes => counted(&mut once),
        Count::No => once(),
    }
    result.expect("the work was done")
}

/// The one name that callgrind is told. Not generic and never inlined, so that it is there.
#[inline(never)]
pub(crate) fn counted(work: &mut dyn FnMut()) {
    work();
    // Without this the call would be the function's last and leave no frame.
    std::hint::black_box(());
}
