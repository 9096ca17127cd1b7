"""Rules: SQL text → logical rules → physical rules. Nothing here runs where events flow."""

from headwater.rules.cache import Cache
from headwater.rules.compiler import Compiled, compile_files, compile_sql
from headwater.rules.findings import Finding
from headwater.rules.physical import PhysicalRule
from headwater.rules.type_text import type_of_text
from headwater.rules.udf import read_udfs

__all__ = ["Cache", "Compiled", "Finding", "PhysicalRule", "compile_files", "compile_sql", "read_udfs", "type_of_text"]
