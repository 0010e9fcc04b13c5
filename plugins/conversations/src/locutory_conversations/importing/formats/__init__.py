"""One module for each format (contract convos §5). Each makes a `ConversationBundle` of one
parsed item, and raises `InvalidItem` where that makes no sense."""
