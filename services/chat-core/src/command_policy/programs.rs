//! The programs that only read, each with the options it may be given.
//!
//! Source of each line: the manual of the program in GNU coreutils 9, GNU grep 3, diffutils 3, util-linux 2.40, procps 4, jq 1.7 and
//! ripgrep 14, and busybox 1.36 where it has the program. Left out on purpose are options that write or run something, among them
//! `sort -o` and `--compress-program`, `rg --pre`, `--hostname-bin` and `-z`, `diff -l`, `file -C` and `-z`, `tree -o` and `-R`.

/// A program and what it may be given.
#[derive(Debug)]
pub(super) struct Program {
    /// Its names; programs that take the same options share a line.
    pub(super) names: &'static [&'static str],
    /// Letters of options without a value.
    pub(super) flags: &'static str,
    /// Letters of options with one.
    pub(super) valued: &'static str,
    /// Long options without a value, or with one behind `=` only, with spaces between them.
    pub(super) long: &'static str,
    /// Long options with a value.
    pub(super) long_valued: &'static str,
    /// Most operands; one that is given more takes some for outputs, or for what to set.
    pub(super) max_operands: usize,
    /// None of its options, also of those not listed, does more than read. Names of files cannot make it do so either.
    pub(super) is_open: bool,
}

const CLOSED: Program = Program {
    names: &[],
    flags: "",
    valued: "",
    long: "",
    long_valued: "",
    max_operands: usize::MAX,
    is_open: false,
};

const OPEN: Program = Program {
    is_open: true,
    ..CLOSED
};

const GREP_LONG: &str = "extended-regexp fixed-strings basic-regexp perl-regexp ignore-case no-ignore-case word-regexp \
            line-regexp null-data no-messages invert-match byte-offset line-number with-filename no-filename \
            only-matching quiet silent text recursive dereference-recursive files-without-match \
            files-with-matches count null color colour";

const GREP_VALUED: &str = "regexp file max-count label binary-files directories devices include exclude exclude-from \
            exclude-dir after-context before-context context";

/// In no order.
pub(super) static TABLE: &[Program] = &[
    Program {
        names: &["ls", "dir", "vdir"],
        flags: "aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ1",
        valued: "ITw",
        long: "all almost-all author escape ignore-backups color directory classify file-type full-time \
            group-directories-first no-group human-readable si dereference inode kibibytes numeric-uid-gid \
            literal hide-control-chars quote-name reverse recursive size zero format sort time time-style",
        long_valued: "block-size hide ignore indicator-style quoting-style tabsize width",
        ..OPEN
    },
    Program {
        names: &["cat"],
        flags: "AbeEnstTuv",
        long: "show-all number-nonblank show-ends number squeeze-blank show-tabs show-nonprinting",
        ..OPEN
    },
    Program {
        names: &["tac"],
        flags: "br",
        valued: "s",
        ..OPEN
    },
    Program {
        names: &["rev"],
        ..OPEN
    },
    Program {
        names: &["nl"],
        flags: "p",
        valued: "bdfhilnsvw",
        ..OPEN
    },
    Program {
        names: &["head", "tail"],
        flags: "qvfFrz0123456789",
        valued: "nc",
        long: "quiet silent verbose zero-terminated follow retry",
        long_valued: "lines bytes pid",
        ..OPEN
    },
    Program {
        names: &["wc"],
        flags: "cmlLw",
        long: "bytes chars lines max-line-length words total",
        ..OPEN
    },
    Program {
        names: &["grep", "egrep", "fgrep"],
        flags: "EFGPiyvwxcLlqsobHhnTZarRIUz0123456789",
        valued: "efmABCdD",
        long: GREP_LONG,
        long_valued: GREP_VALUED,
        ..OPEN
    },
    Program {
        names: &["rg"],
        flags: "aFiIlLnNHSsUuvwxPcopqHh.0",
        valued: "egtTABCmdMrjE",
        long: "files hidden no-ignore no-ignore-vcs ignore-case smart-case case-sensitive word-regexp line-regexp \
            fixed-strings files-with-matches files-without-match count count-matches line-number no-line-number \
            no-heading heading no-filename with-filename json multiline multiline-dotall only-matching pcre2 \
            follow invert-match vimgrep stats text trim type-list no-config no-messages column quiet null \
            unrestricted",
        long_valued: "after-context before-context context color glob iglob max-count max-depth max-columns max-filesize \
            regexp sort sortr type type-not threads replace encoding",
        ..CLOSED
    },
    Program {
        names: &["sort"],
        flags: "bdfghiMnRrVcCmsuz",
        valued: "ktS",
        long: "ignore-leading-blanks dictionary-order ignore-case general-numeric-sort human-numeric-sort \
            ignore-nonprinting month-sort numeric-sort random-sort reverse version-sort check merge stable \
            unique zero-terminated debug sort",
        long_valued: "key field-separator buffer-size parallel",
        ..CLOSED
    },
    // The second operand is where it writes to.
    Program {
        names: &["uniq"],
        flags: "cdDiuz",
        valued: "fsw",
        long: "count repeated all-repeated group ignore-case unique zero-terminated",
        long_valued: "skip-fields skip-chars check-chars",
        max_operands: 1,
        ..CLOSED
    },
    Program {
        names: &["cut"],
        flags: "nsz",
        valued: "bcdf",
        long: "complement only-delimited zero-terminated",
        long_valued: "bytes characters delimiter fields output-delimiter",
        ..OPEN
    },
    Program {
        names: &["tr"],
        flags: "cCdst",
        long: "complement delete squeeze-repeats truncate-set1",
        ..OPEN
    },
    Program {
        names: &["paste"],
        flags: "sz",
        valued: "d",
        long: "serial",
        long_valued: "delimiters",
        ..OPEN
    },
    Program {
        names: &["join"],
        flags: "iz",
        valued: "aejotv12",
        ..OPEN
    },
    Program {
        names: &["comm"],
        flags: "123z",
        long: "check-order nocheck-order total",
        ..OPEN
    },
    Program {
        names: &["fold"],
        flags: "bs0123456789",
        valued: "w",
        long_valued: "width",
        ..OPEN
    },
    Program {
        names: &["expand", "unexpand"],
        flags: "ai",
        valued: "t",
        long_valued: "tabs",
        ..OPEN
    },
    Program {
        names: &["column"],
        flags: "tnxe",
        valued: "sco",
        long: "table",
        long_valued: "separator",
        ..CLOSED
    },
    Program {
        names: &["diff"],
        flags: "qsucenyrNiEZbwBaptTd0123456789",
        valued: "UCWxXIL",
        long: "brief report-identical-files unified context side-by-side recursive new-file ignore-case \
            ignore-all-space ignore-space-change ignore-blank-lines ignore-trailing-space text minimal \
            suppress-common-lines color strip-trailing-cr no-dereference",
        long_valued: "width exclude exclude-from ignore-matching-lines label",
        ..CLOSED
    },
    Program {
        names: &["cmp"],
        flags: "bls",
        valued: "in",
        long: "silent quiet verbose print-bytes",
        ..OPEN
    },
    Program {
        names: &["stat"],
        flags: "Lft",
        valued: "c",
        long: "dereference file-system terse",
        long_valued: "format printf",
        ..OPEN
    },
    Program {
        names: &["file"],
        flags: "bihLkNnr",
        valued: "F",
        long: "brief mime mime-type mime-encoding dereference no-dereference extension",
        ..CLOSED
    },
    Program {
        names: &["du"],
        flags: "0aAbcDhHklLmPsSx",
        valued: "dBtX",
        long: "all apparent-size bytes total human-readable si summarize one-file-system inodes time",
        long_valued: "max-depth block-size exclude threshold",
        ..OPEN
    },
    Program {
        names: &["df"],
        flags: "ahHiklPTm",
        valued: "Btx",
        long: "all human-readable si inodes local portability print-type total no-sync",
        long_valued: "block-size type exclude-type",
        ..OPEN
    },
    Program {
        names: &["basename"],
        flags: "az",
        valued: "s",
        long: "multiple",
        long_valued: "suffix",
        ..OPEN
    },
    Program {
        names: &["dirname"],
        flags: "z",
        ..OPEN
    },
    Program {
        names: &["realpath", "readlink"],
        flags: "efmnqsvzLP",
        long: "canonicalize canonicalize-existing canonicalize-missing no-newline quiet strip logical",
        long_valued: "relative-to relative-base",
        ..OPEN
    },
    Program {
        names: &[
            "md5sum",
            "sha1sum",
            "sha224sum",
            "sha256sum",
            "sha384sum",
            "sha512sum",
            "b2sum",
            "cksum",
            "sum",
        ],
        flags: "bctwrsz",
        valued: "al",
        long: "binary check text quiet status strict ignore-missing tag warn",
        ..OPEN
    },
    Program {
        names: &["od"],
        flags: "abcdfhilosxv",
        valued: "AjNtSw",
        ..OPEN
    },
    Program {
        names: &["hexdump", "hd"],
        flags: "bcCdovx",
        valued: "ns",
        ..OPEN
    },
    Program {
        names: &["strings"],
        flags: "a",
        valued: "nte",
        long: "all",
        ..OPEN
    },
    Program {
        names: &["seq"],
        flags: "w",
        valued: "sf",
        ..OPEN
    },
    Program {
        names: &["nproc"],
        long: "all",
        max_operands: 0,
        ..CLOSED
    },
    Program {
        names: &["pwd"],
        flags: "LP",
        max_operands: 0,
        ..CLOSED
    },
    Program {
        names: &["whoami", "arch", "tty", "uptime"],
        max_operands: 0,
        ..CLOSED
    },
    // An operand is the name it sets.
    Program {
        names: &["hostname"],
        max_operands: 0,
        ..CLOSED
    },
    Program {
        names: &["id", "groups"],
        flags: "aGgnruz",
        long: "group groups name real user",
        ..OPEN
    },
    Program {
        names: &["uname"],
        flags: "asnrvmpio",
        long: "all",
        max_operands: 0,
        ..CLOSED
    },
    Program {
        names: &["free"],
        flags: "bkmghltw",
        long: "human mega giga total wide",
        max_operands: 0,
        ..CLOSED
    },
    Program {
        names: &["true", "false", ":"],
        ..OPEN
    },
    Program {
        names: &["tree"],
        // Not `-L`, `-P` and `-I`: it goes on with the letters behind them, and takes the next word for their value.
        flags: "adfilxshugpDFQqNnCAS",
        long: "dirsfirst noreport prune gitignore du matchdirs ignore-case",
        ..CLOSED
    },
    Program {
        names: &["ps"],
        flags: "AaedfFlLmMjTHwxX",
        valued: "opuUCg",
        long: "forest no-headers headers",
        long_valued: "sort pid ppid format user",
        ..CLOSED
    },
    Program {
        names: &["which"],
        flags: "as",
        ..CLOSED
    },
    // Of the shell's own: they say what a name stands for.
    Program {
        names: &["type"],
        ..CLOSED
    },
    // Its programs can only read; the table is of files, of standard input and of the environment.
    Program {
        names: &["jq"],
        flags: "rcnesSMCaRj",
        long: "raw-output compact-output null-input exit-status slurp sort-keys monochrome-output color-output \
            ascii-output raw-input join-output tab arg argjson args jsonargs slurpfile rawfile indent stream seq",
        ..OPEN
    },
];
