"""Rules: SQL text → logical rules → physical rules. Nothing here runs where events flow."""

from headwater.rules.compiler import Compiled, compile_files, compile_sql
from headwater.rules.findings import Finding
from headwater.rules.physical import PhysicalRule

__all__ = ["Compiled", "Finding", "PhysicalRule", "compile_files", "compile_sql"]
