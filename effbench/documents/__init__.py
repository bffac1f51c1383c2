"""Judgements as plain data: what `--format json` prints and every other format is rendered from."""

from effbench.documents.common import Document, head
from effbench.documents.explain import explain_document
from effbench.documents.profile import profile_document
from effbench.documents.summary import summary_document
from effbench.documents.tables import check_document, listing_document

__all__ = [
    "Document",
    "check_document",
    "explain_document",
    "head",
    "listing_document",
    "profile_document",
    "summary_document",
]
