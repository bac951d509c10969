//! `pretrain --preview`: what the objective is fed.

use std::path::Path;

use offshoot_models::augment::preview::write_png;
use offshoot_models::pretrain::{Preview, preview};

use super::options::options;
use super::{Args, free, open};
use crate::failure::{Failure, Result};
use crate::files;
use crate::files::shell_path;
use crate::interrupt::Interrupt;
use crate::{output, progress};

/// Shows the first batch of a run and trains nothing.
pub(super) fn run(args: &Args, sheet: Option<&Path>, interrupt: &Interrupt) -> Result {
    if let Some(sheet) = sheet {
        let png = sheet.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        if !png {
            return Err(Failure::usage(format!(
                "the preview {} is written as PNG; give it a name that ends in .png",
                sheet.display()
            )));
        }
        files::check_output(sheet, args.data.iter().map(AsRef::as_ref))?;
        free(sheet, args.force)?;
    }
    let data = open(args)?;
    let options = options(args, data.as_ref(), interrupt)?;
    match preview(&data, &options, args.rows.get(), args.views.get())? {
        Preview::Table(table) => {
            if let Some(sheet) = sheet {
                progress::say(&format!(
                    "note: texts are shown as a table; {} is not written",
                    shell_path(sheet)
                ));
            }
            output::print(&table)
        }
        Preview::Sheet(image) => {
            let Some(sheet) = sheet else {
                return Err(Failure::usage(
                    "the preview of images and signals is a picture; name its file, as in \
                     --preview views.png",
                ));
            };
            write_png(sheet, &image)?;
            progress::say(&format!(
                "{}: {} by {} pixels, examples on the left, their views beside them",
                shell_path(sheet),
                image.width(),
                image.height()
            ));
            Ok(())
        }
    }
}
