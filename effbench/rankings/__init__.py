"""Records → leaderboard: which figures of theirs are ranked, by what score, and who may be compared.

eb.rank(records, "top1_err", "params_flops_exp:k=20").to_frame()
"""

from effbench.rankings.candidates import Known
from effbench.rankings.choose import Choice, rank, rank_known, reads_memory
from effbench.rankings.sources import gather, known_of, state, with_errors

__all__ = ["Choice", "Known", "gather", "known_of", "rank", "rank_known", "reads_memory", "state", "with_errors"]
