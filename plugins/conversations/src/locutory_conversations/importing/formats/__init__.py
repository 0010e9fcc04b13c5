"""One module for each format (contract convos §5). Each makes a `Whole` of one parsed item,
and raises `Junk` where that makes no sense."""
