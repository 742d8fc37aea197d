"""The semidefinite relaxation of the search for the best partition, and the proof of what it bounds.

A `Region` is a set of partitions: those that keep some units together and others apart. `Region.tighten`
lowers the bound on the Q of all of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Int8
from scipy.sparse.csgraph import connected_components

from modlib._checks import Labels
from modlib.cuts import Pairs, Sparse, broken_triangles, broken_vectors, coefficients, pairs_of

#: Of groups: units that are kept together, or single ones.
Matrix = Float[np.ndarray, "group group"]
Vectors = Int8[np.ndarray, "cut group"]
Multipliers = Float[np.ndarray, " cut"]

TOLERANCE = 1e-7  #: A partition counts as best when no other's Q exceeds its own by more than this.

OVERRELAXATION = 1.6  #: Step of the alternating directions, in (0, 2).
INNER = 6  #: Steps of the multipliers of the cuts in each round of the alternating directions.
BOUND_EVERY = 10  #: Rounds between two looks at the bound.
CUTS_EVERY = 30  #: Rounds between two searches for cuts, and between two looks at the progress.
LEAST_DEGREE = 1e-5  #: Units of smaller degree, as a share of the mean, are weighted as if they had this one.
WEIGHTED_BY = 0.75  #: Power of a unit's degree that is its weight.
LARGEST_MERGED = 60  #: A cut with larger entries is dropped, so that sums of two fit into eight bits.
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Effort:
    """When `Region.tighten` gives up.

    That is after `rounds` at least, when thirty more close less than the share `progress` of what is left
    between the bound and what it should reach.
    """

    rounds: int
    progress: float


@dataclass(eq=False)
class Region:
    """Partitions that keep some units together and others apart, and the state of their relaxation.

    Attributes
    ----------
    B
        Modularity matrix of the groups of units that are kept together (summed over their units).
    group
        Group of each unit.
    apart
        Which groups are kept apart.
    weight
        Weight of each group in the trace, additive. It changes the numbers that the method works with, not
        what they say: small for units of small degree, whose part in Q is small.
    terms
        Sum of the absolute terms that B was computed from, for what rounding may have done to them.
    bound
        No partition of the region has a larger Q, nor has one that was left out of it as hopeless.
    left_out
        Bound on the Q of the partitions that were left out.
    X
        (group, group) the solution so far, close to feasible; within [0, 1].
    labels, floor
        Best partition met on the way, of the region or not, and its Q.
    """

    B: Matrix
    group: Labels
    apart: Bool[np.ndarray, "group group"]
    weight: Float[np.ndarray, " group"]
    terms: float
    X: Matrix
    dual: Matrix  # S / penalty, scaled, of the last round
    penalty: float
    cuts: Vectors
    multipliers: Multipliers
    bound: float = np.inf
    left_out: float = -np.inf
    floor: float = -np.inf
    labels: Labels | None = None
    rounds: int = 0

    @classmethod
    def whole(cls, B: Matrix, resolution: float) -> "Region":
        """Make the region of all partitions of the units of a modularity matrix."""
        n_unit = len(B)
        degree = np.sqrt(np.maximum(-np.diagonal(B), 0))
        weight = np.maximum(degree / degree.mean(), LEAST_DEGREE) ** WEIGHTED_BY
        scaled = B / np.sqrt(np.outer(weight, weight))
        return cls(
            B=B,
            group=np.arange(n_unit),
            apart=np.zeros((n_unit, n_unit), dtype=bool),
            weight=weight,
            terms=1 + resolution,
            X=np.eye(n_unit),
            dual=np.zeros((n_unit, n_unit)),
            penalty=float(np.linalg.norm(scaled)) / n_unit,
            cuts=np.zeros((0, n_unit), dtype=np.int8),
            multipliers=np.zeros(0),
            bound=_loosest(B) + n_unit**2 * EPS * (1 + resolution),
        )

    def halves(self) -> tuple["Region", "Region"]:
        """Split the region by the undecided pair of large weights whose X_ij is far from 0 and 1."""
        doubt = np.minimum(self.X, 1 - self.X) * np.outer(self.weight, self.weight)
        i, j = divmod(int(np.where(self.undecided(), doubt, -np.inf).argmax()), len(doubt))
        return self.merged(i, j), self.separated(i, j)

    def undecided(self) -> Bool[np.ndarray, "group group"]:
        """Which pairs i < j of groups are neither together nor apart."""
        return np.triu(~self.apart, 1)

    def merged(self, i: int, j: int) -> "Region":
        """Make the part of the region that keeps groups i and j together; the state goes with it."""
        n_group = len(self.B)
        i, j = min(i, j), max(i, j)
        into = np.arange(n_group) - (np.arange(n_group) > j)
        into[j] = i
        member = np.zeros((n_group, n_group - 1))
        member[np.arange(n_group), into] = 1
        weight = self.weight @ member
        orthonormal = np.sqrt(self.weight)[:, None] * member / np.sqrt(weight)
        mean = member / member.sum(axis=0)
        X = mean.T @ self.X @ mean
        np.fill_diagonal(X, 1)
        cuts = self.cuts @ member.astype(np.int8)
        kept = (np.count_nonzero(cuts, axis=1) > 1) & (np.abs(cuts).max(axis=1, initial=0) <= LARGEST_MERGED)
        return replace(
            self,
            B=member.T @ self.B @ member,
            group=into[self.group],
            apart=(member.T @ self.apart @ member) > 0,
            weight=weight,
            X=X,
            dual=orthonormal.T @ self.dual @ orthonormal,
            cuts=cuts[kept],
            multipliers=self.multipliers[kept],
            labels=None,
            floor=-np.inf,
        )

    def separated(self, i: int, j: int) -> "Region":
        """Make the part of the region that keeps groups i and j apart."""
        apart = self.apart.copy()
        apart[i, j] = apart[j, i] = True
        return replace(self, apart=apart, labels=None, floor=-np.inf)

    def tighten(
        self,
        floor: float,
        effort: Effort,
        deadline: float,
        generator: np.random.Generator,
        *,
        adapt: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lower the bound until it is within `TOLERANCE` of `floor`, little progress is made or time is up.

        The relaxation: maximise ⟨B, X⟩ over symmetric X with X ⪰ 0, X_ii = 1, X_ij ≥ 0 (0 where i and j are
        kept apart) and bᵀXb ≥ Σ b for vectors b of integers (`modlib.cuts`). For X ⪰ 0 and X_ij ≥ 0 alone
        see Peng & Wei 2007 (10.1137/050641983), who cluster points so.

        It is solved by alternating directions (Boyd et al. 2011, 10.1561/2200000016, with the
        over-relaxation of section 3.4.3): X is projected on the positive semidefinite matrices, a copy Z of
        it on all else, and U sums up how they differ. The second projection is a quadratic programme in the
        multipliers of the cuts, of which each round takes a few gradient steps, from where the last round
        left them. Units are scaled by the square roots of their weights: what is projected is X_ij √(w_i
        w_j).

        Every thirty rounds cuts are sought and idle ones dropped, and where X is near a partition, that
        partition is weighed: one that is better than `floor` takes its place.
        """
        n_group = len(self.B)
        i, j, _ = pairs_of(n_group)
        if self.apart[i, j].all():  # one partition is left
            self._meet(np.arange(n_group))
            only = self.floor + n_group**2 * EPS * float(self.terms + np.abs(self.B).sum())
            self.bound = max(min(self.bound, only), self.left_out)
            return
        root = np.sqrt(self.weight)
        scale = np.outer(root, root)
        scale_of_pair = scale[i, j]
        gain = self.B[i, j] / scale_of_pair
        ceiling = np.where(self.apart[i, j], 0.0, np.inf)
        penalty, U, t = self.penalty, self.dual, self.multipliers
        Z = self.X * scale
        lowest, mark, proof = np.inf, self.bound, None
        rows, by_pair, right, step = self._cuts(scale_of_pair)

        for count in range(1, 10**9):
            value, vector = np.linalg.eigh(Z - U)
            split = int(np.searchsorted(value, 0))
            if split > n_group // 2:
                X = (vector[:, split:] * value[split:]) @ vector[:, split:].T
            else:
                X = Z - U - (vector[:, :split] * value[:split]) @ vector[:, :split].T
            X = OVERRELAXATION * X + (1 - OVERRELAXATION) * Z
            target = (X + U)[i, j] + gain / penalty
            force = by_pair @ t
            for _ in range(INNER if len(t) else 0):
                t = np.maximum(t + step * (rows @ np.clip(target - force, 0, ceiling) - right), 0)
                force = by_pair @ t
            before, Z = Z, np.diag(self.weight)
            Z[i, j] = Z[j, i] = np.clip(target - force, 0, ceiling)
            U = U + X - Z
            self.rounds += 1
            late = clock() > deadline

            if count % BOUND_EVERY == 0 or late:
                shift = max(0.0, -float(np.linalg.eigvalsh(U)[0]))
                estimate = (np.diagonal(U) + shift) @ self.weight + 2 * (t @ right)
                estimate = float(np.trace(self.B)) + penalty * float(estimate)
                if estimate < lowest:
                    lowest = estimate
                    proof = (penalty * scale * U, penalty * t, self.cuts)
                if adapt and count % (2 * BOUND_EVERY) == 0 and count < 200:
                    primal, change = np.linalg.norm(X - Z), np.linalg.norm(Z - before)
                    factor = 1.5 if primal > 5 * change else 1 / 1.5 if change > 5 * primal else 1.0
                    penalty, U, t = penalty * factor, U / factor, t / factor
            if late or lowest <= max(floor, self.floor) + TOLERANCE / 2:
                break
            if count % CUTS_EVERY == 0:
                self.X = Z / scale
                self._meet(_components(self.X > 0.5))
                best = min(lowest, self.bound)
                left = best - max(floor, self.floor)
                if count >= effort.rounds and mark - best < effort.progress * left:
                    break
                mark = best
                kept = t > 1e-7
                t = self._renew_cuts(t, kept, generator)
                rows, by_pair, right, step = self._cuts(scale_of_pair)

        self.X, self.dual, self.penalty, self.multipliers = Z / scale, U, penalty, t
        self._meet(_components(self.X > 0.5))
        if proof is not None:
            self.prove(*proof, floor=floor)

    def _cuts(self, scale_of_pair: Pairs) -> tuple[Sparse, Sparse, Multipliers, Multipliers]:
        """Give the rows of the cuts in scaled pairs, their transpose, right sides and multipliers' steps."""
        rows, right = coefficients(self.cuts)
        rows.data /= scale_of_pair[rows.indices]
        size = abs(rows)
        step = 1 / np.maximum(size @ np.asarray(size.sum(axis=0)).ravel(), 1e-12)
        return rows, rows.T.tocsr(), right, step

    def _renew_cuts(
        self, t: Multipliers, kept: Bool[np.ndarray, " cut"], generator: np.random.Generator
    ) -> Float[np.ndarray, " renewed"]:
        """Drop idle cuts and add broken ones; return the multipliers of what is then in force."""
        old = self.cuts[kept]
        new = [broken_triangles(self.X, generator), broken_vectors(self.X, old, generator)]
        cuts = np.concatenate([old, *new])
        multipliers = np.concatenate([t[kept], np.zeros(len(cuts) - len(old))])
        self.cuts, first = np.unique(cuts, axis=0, return_index=True)
        return multipliers[first]

    def _meet(self, labels: Int[np.ndarray, " group"]) -> None:
        """Weigh a partition of the groups."""
        q = float(self.B[labels[:, None] == labels].sum())
        if q > self.floor:
            self.floor, self.labels = q, labels[self.group]

    def prove(self, S: Matrix, t: Multipliers, cuts: Vectors, *, floor: float) -> None:
        """Bound Q by the multipliers at hand, and keep apart what cannot be together in a better partition.

        For every symmetric S, multipliers t ≥ 0 of the cuts, and shift s with S + s diag(w) ⪰ 0, the X of
        every partition has ⟨B, X⟩ = ⟨B + S, X⟩ − ⟨S, X⟩, where −⟨S, X⟩ ≤ s Σ w since X ⪰ 0 and X_ii = 1
        (Jansson, Chaykin & Keil 2007, 10.1137/050622870), so that

            Q ≤ Σ_i (B + S)_ii + Σ_b t_b (Σ b_i² − Σ b_i) + 2 Σ_{i<j} R_ij X_ij + s Σ w,

        R_ij = (B + S)_ij + Σ_b t_b b_i b_j. With R_ij X_ij ≤ max(0, R_ij), or 0 where i and j are kept
        apart, this is the bound. If X_ij = 1 where R_ij < 0, it is lower by −2 R_ij; pairs for which it
        then does not exceed `floor` by more than `TOLERANCE` are kept apart from here on.

        Rounding is allowed for in full. That S + s diag(w), scaled to w = 1, is positive semidefinite is
        shown by a Cholesky decomposition that runs to its end although the most that rounding can do was
        taken from the diagonal (Rump 2006, 10.1007/s10543-006-0056-1). To the sums is added the sum of the
        absolute values of all terms times their number times the unit of rounding.
        """
        i, j, _ = pairs_of(len(self.B))
        n_group = len(self.B)
        rows, right = coefficients(cuts)
        total = self.B + S
        R = total[i, j] - rows.T @ t
        R[self.apart[i, j]] = 0
        magnitude = self.terms + np.abs(self.B).sum() + np.abs(S).sum() + 2 * float((abs(rows).T @ t).sum())
        magnitude += 2 * float(t @ np.abs(right))
        shift = _proven_shift(S / np.sqrt(np.outer(self.weight, self.weight)))
        value = float(np.trace(total) + 2 * (t @ right) + 2 * np.maximum(R, 0).sum())
        value += shift * float(self.weight.sum()) + (n_group**2 + len(t)) * EPS * float(
            magnitude + abs(shift) * n_group
        )
        hopeless = (R < 0) & (value + 2 * R <= floor + TOLERANCE - n_group**2 * EPS * magnitude)
        if hopeless.any():
            self.left_out = max(self.left_out, floor + TOLERANCE)
        self.bound = max(min(self.bound, value), self.left_out)
        self.apart[i[hopeless], j[hopeless]] = self.apart[j[hopeless], i[hopeless]] = True


def _loosest(B: Matrix) -> float:
    """Sum up Q as if just the pairs that gain by it could be together."""
    return float(np.trace(B) + 2 * np.maximum(np.triu(B, 1), 0).sum())


def _components(joined: Bool[np.ndarray, "group group"]) -> Int[np.ndarray, " group"]:
    """Label the connected components."""
    return connected_components(joined, directed=False)[1].astype(np.int64)


def _proven_shift(S: Matrix) -> float:
    """Find a number s, hardly larger than need be, for which S + s I is positive semidefinite for certain."""
    size = len(S)
    magnitude = float(np.abs(np.diagonal(S)).sum() + np.linalg.norm(S))
    shift = -float(np.linalg.eigvalsh(S)[0])
    allowance = 4 * (size + 4) * EPS
    while True:
        # What rounding may do: to the entries of S, to their sum with the shift, and in the decomposition.
        doubt = allowance * (magnitude + size * abs(shift)) + float(np.finfo(np.float64).tiny)
        try:
            np.linalg.cholesky(S + (shift + doubt) * np.eye(size))
            return shift + 2 * doubt
        except np.linalg.LinAlgError:
            shift += max(doubt, abs(shift) * 1e-6)
            allowance *= 2
