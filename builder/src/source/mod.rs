//! What comes in: the build context, named contexts.
//!
//! *Takes* a directory (and later git, http, archives) and its ignore patterns. *Gives* a scanned
//! tree of entries with content digests. *Must never know* which instruction wants it.
