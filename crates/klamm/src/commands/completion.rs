//! `klamm completion`: a script for the shell, of what clap knows of the commands.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;
use clap_complete::{Shell, generate};

/// `klamm completion`.
#[derive(Debug, Args)]
#[command(after_help = "bash: source <(klamm completion bash), in ~/.bashrc\n\
    zsh:  klamm completion zsh > \"${fpath[1]}/_klamm\"\n\
    fish: klamm completion fish > ~/.config/fish/completions/klamm.fish")]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionArgs {
    pub(super) fn run(self, mut whole: clap::Command) -> Result<()> {
        // Into memory first: the generator panics when standard output is closed early.
        let mut script = Vec::new();
        generate(self.shell, &mut whole, "klamm", &mut script);
        let mut out = io::stdout().lock();
        out.write_all(&script)?;
        out.flush()?;
        Ok(())
    }
}
