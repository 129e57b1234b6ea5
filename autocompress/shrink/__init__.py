"""The engine that makes students."""
