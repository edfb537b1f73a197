"""Which printer gets which sheet. Pure: what is known of printers and sheets in, assignments and reasons out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ipp.documents import choose
from ipp.shuns import Kind, Refusal
from store.profiles import RenderProfile
from store.records import AllocationMethod, Printer, PrinterPool, PrinterState, PrinterStatus
from store.sizes import PrintSize

MAX_AHEAD = 2  # print jobs given to a printer before it completed them; more could not move when it stops
TURN = "waits for its turn"  # which needs nobody
SPLIT_GAIN_S = 15.0  # an order that is done so much sooner is worth collecting from two printers
BLOCKING_REASONS = frozenset(
    {"media-empty", "media-jam", "media-needed", "cover-open", "door-open", "marker-supply-empty", "paused"}
)


@dataclass(frozen=True)
class Member:
    """A printer that could take sheets."""

    printer: Printer
    status: PrinterStatus | None  # None: never asked
    ahead: int  # print jobs it has not completed
    backlog: int = 0  # copies in them
    seconds_per_copy: float = 10.0  # as measured lately; a usual dye-sublimation printer until then
    busy: str = ""  # what it said when it took nothing, a moment ago
    is_stuck: bool = False  # it has print jobs in hand of which nothing is heard
    refusals: Mapping[Kind, Refusal] = field(default_factory=dict)  # what it would not print


@dataclass(frozen=True)
class Waiting:
    """A drawn sheet that wants a printer."""

    sheet_id: int
    ticket_id: int
    size: PrintSize
    quantity: int
    profile: RenderProfile
    printer_id: int | None = None  # only this printer may print it
    priority: int = 0  # higher ones come first
    avoids: int | None = None  # a printer that still has a job of it which nobody has heard of
    moved_from: int | None = None  # a printer from which a person took it, to have it printed elsewhere

    @property
    def kind(self) -> Kind:
        """Sheets of one kind are taken or refused alike."""
        return self.profile.id, self.size


@dataclass
class Allocation:
    """What an allocation decided."""

    assigned: list[tuple[int, int]] = field(default_factory=list)  # (sheet id, printer id), in order
    waiting: dict[int, str] = field(default_factory=dict)  # sheet id → what it waits for, in a sentence
    impossible: dict[int, str] = field(default_factory=dict)  # sheet id → why it can never be printed
    refused: dict[int, str] = field(default_factory=dict)  # sheet id → what every printer said that could print it


def allocate(
    sheets: Sequence[Waiting],
    members: Sequence[Member],
    pools: Mapping[int, PrinterPool],
    last_used: Mapping[int, int],
    printers_of_ticket: Mapping[tuple[int, int], Sequence[int]],
    copies_left: Mapping[int, int] | None = None,
) -> Allocation:
    """Give sheets to printers.

    Args:
        sheets: in the order in which they should come out.
        members: every printer the studio knows.
        pools: by id.
        last_used: by pool id: the printer that got the pool's last sheet, for round robin.
        printers_of_ticket: by (pool id, ticket id): the printers that have sheets of the ticket, the first one first.
        copies_left: by ticket id: all that no printer has in hand yet; those in `sheets` where it is not given.

    An order stays on one printer, so that nobody has to collect it, unless its pool may split it and that gets it done
    SPLIT_GAIN_S sooner.
    """
    result = Allocation()
    ahead: dict[str, int] = {}  # by device: several entries may stand for one
    backlog: dict[str, int] = {}
    for member in members:
        ahead[member.printer.device] = ahead.get(member.printer.device, 0) + member.ahead
        backlog[member.printer.device] = backlog.get(member.printer.device, 0) + member.backlog
    last = dict(last_used)
    bound = {key: list(printers) for key, printers in printers_of_ticket.items()}
    left = dict(copies_left) if copies_left is not None else _copies(sheets)
    for sheet in sheets:
        pool = pools.get(sheet.profile.pool_id) if sheet.profile.pool_id is not None else None
        candidates = _members_for(sheet, members)
        problem = _why_never(sheet, pool, candidates)
        if problem:
            result.impossible[sheet.sheet_id] = problem
            continue
        candidates = [
            member for member in candidates if not member.printer.inactive and _allows(member.printer, sheet.size)
        ]
        if pool is not None and pool.inactive:
            result.waiting[sheet.sheet_id] = (
                f"the printer pool '{pool.name}' is inactive: make it active under Printers"
            )
            continue
        refusals = [member.refusals.get(sheet.kind) for member in candidates]
        words = list(dict.fromkeys(one.words for one in refusals if one is not None and one.is_settled))
        if candidates and all(one is not None and one.is_settled for one in refusals):
            is_final = all(one is not None and one.is_final for one in refusals)
            (result.impossible if is_final else result.refused)[sheet.sheet_id] = "; ".join(words)
            continue
        obstacles = {member.printer.id: _why_not_now(member, sheet) for member in candidates}
        if _may_go_elsewhere(sheet, candidates, obstacles):
            obstacles[sheet.moved_from or 0] = "a person moved it to another printer"
        able = [member for member in candidates if not obstacles[member.printer.id]]
        # A printer that reports a trouble but is not stopped is a second choice: its other tray may well be fine.
        able = [member for member in able if not _is_troubled(member)] or able
        if pool is not None and (pool.id, sheet.ticket_id) in bound:
            begun = bound[pool.id, sheet.ticket_id]
            keeper = [member for member in candidates if member.printer.id == begun[0]]
            if not pool.job_split and keeper:
                able = [member for member in able if member in keeper]
                obstacles = {member.printer.id: obstacles[member.printer.id] for member in keeper}
            elif len(begun) == 1 and keeper and keeper[0] in able:  # not split yet
                is_split = _is_worth_splitting(left[sheet.ticket_id], keeper[0], able, backlog)
                able = able if is_split else keeper
        free = [member for member in able if ahead[member.printer.device] < MAX_AHEAD]
        if not free:
            result.waiting[sheet.sheet_id] = (
                TURN if able else _sentence(list(dict.fromkeys(filter(None, obstacles.values()))))
            )
            continue
        best = _choose(free, pool, last, backlog).printer
        chosen = best.id
        ahead[best.device] += 1
        backlog[best.device] += sheet.quantity
        left[sheet.ticket_id] -= sheet.quantity
        if pool is not None:
            last[pool.id] = chosen
            have = bound.setdefault((pool.id, sheet.ticket_id), [])
            if chosen not in have:
                have.append(chosen)
        result.assigned.append((sheet.sheet_id, chosen))
    return result


def _may_go_elsewhere(sheet: Waiting, candidates: Sequence[Member], obstacles: Mapping[int, str]) -> bool:
    """Whether a sheet that a person moved has another printer, also one that has not told yet how it is."""
    others = [member for member in candidates if member.printer.id != sheet.moved_from]
    return len(others) < len(candidates) and any(
        member.status is None or member.status.state is PrinterState.UNKNOWN or not obstacles[member.printer.id]
        for member in others
    )


def _copies(sheets: Sequence[Waiting]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for sheet in sheets:
        counts[sheet.ticket_id] = counts.get(sheet.ticket_id, 0) + sheet.quantity
    return counts


def _is_worth_splitting(copies: int, keeper: Member, able: Sequence[Member], backlog: Mapping[str, int]) -> bool:
    """Whether several printers get an order done clearly sooner than the one that has begun with it."""
    alone_s = (backlog[keeper.printer.device] + copies) * keeper.seconds_per_copy
    # Together they make so many copies a second, after what each has in hand.
    devices = {member.printer.device: member for member in able}
    pace = sum(1 / member.seconds_per_copy for member in devices.values())
    together_s = (copies + sum(backlog[device] for device in devices)) / pace
    return alone_s - together_s >= SPLIT_GAIN_S


def _members_for(sheet: Waiting, members: Sequence[Member]) -> list[Member]:
    if sheet.printer_id is not None:
        return [member for member in members if member.printer.id == sheet.printer_id]
    if sheet.profile.pool_id is not None:
        return [member for member in members if member.printer.pool_id == sheet.profile.pool_id]
    return [member for member in members if member.printer.id == sheet.profile.printer_id]


def _choose(
    free: list[Member], pool: PrinterPool | None, last: Mapping[int, int], backlog: Mapping[str, int]
) -> Member:
    ordered = sorted(free, key=lambda member: member.printer.id)
    if pool is None:
        return ordered[0]
    previous = last.get(pool.id, 0)
    in_turn = [member for member in ordered if member.printer.id > previous] + ordered
    if pool.allocation_method is AllocationMethod.PRIORITY_CODE:
        highest = max(member.printer.priority_code for member in free)
        return next(member for member in in_turn if member.printer.priority_code == highest)
    if pool.allocation_method is AllocationMethod.LEAST_BUSY:
        # Whoever would have one more copy out first; in turn among equals.
        return min(in_turn, key=lambda member: (backlog[member.printer.device] + 1) * member.seconds_per_copy)
    return in_turn[0]


def _allows(printer: Printer, size: PrintSize) -> bool:
    return not printer.allowable_print_sizes or any(size.is_same_paper(s) for s in printer.allowable_print_sizes)


def _why_never(sheet: Waiting, pool: PrinterPool | None, candidates: Sequence[Member]) -> str:
    """Why no printing can ever come of it as the studio is set up; '' when it can."""
    profile = sheet.profile
    if profile.pool_id is not None and pool is None:
        return f"the printer pool of the profile '{profile.name}' was deleted: choose another in the profile"
    if profile.printer_id is not None and not candidates:
        return f"the printer of the profile '{profile.name}' was deleted: choose another in the profile"
    if candidates and not any(_allows(member.printer, sheet.size) for member in candidates):
        where = f"of the pool '{pool.name}'" if pool else f"'{candidates[0].printer.name}'"
        return (
            f"no printer {where} allows {sheet.size} prints: add {sheet.size} to a printer's allowable print sizes, "
            "or choose another pool in the profile"
        )
    return ""


def _why_not_now(member: Member, sheet: Waiting) -> str:
    """Why a printer cannot take a sheet at the moment, as a sentence that says what to do; '' when it can."""
    name, status = member.printer.name, member.status
    if not member.printer.uri:
        return f"{name} has not been found on the network: switch it on"
    if status is None or status.state is PrinterState.UNKNOWN:
        return f"{name} has not answered yet"
    if obstacle := why_not_ready(member.printer, status):
        return obstacle
    if status.media_ready is not None and not any(sheet.size.is_same_paper(size) for size in status.media_ready):
        return f"load {_upright(sheet.size)} paper in {name}"
    if choose(status.document_formats) is None:
        return f"{name} takes neither JPEG nor raster nor PDF: use another printer for this profile"
    if member.is_stuck or sheet.avoids == member.printer.id:
        return f"{name} has a print in hand and does not move: look at it"
    if member.busy:
        return f"{name} takes nothing now ({member.busy}): look at its display"
    refusal = member.refusals.get(sheet.kind)
    return f"{refusal.words}: it is asked again soon" if refusal is not None else ""


def why_not_ready(printer: Printer, status: PrinterStatus) -> str:
    """Why a printer prints nothing at the moment, whatever the sheet; '' when it does."""
    name = printer.name
    if status.state is PrinterState.UNREACHABLE:
        return f"{name} does not answer: switch it on and check its network cable"
    trouble = sorted(BLOCKING_REASONS & bare_reasons(status))
    if status.state is PrinterState.STOPPED:
        told = status.message or ", ".join(status.state_reasons) or "no reason given"
        return f"{name} is stopped ({told}): look at its display"
    if not status.accepting:
        return f"{name} does not accept jobs now{': ' + ', '.join(trouble) if trouble else ''}"
    return ""


def what_it_wants(printer: Printer, status: PrinterStatus) -> str:
    """What a printer that is not stopped asks of people, by its own word; '' when nothing."""
    trouble = sorted(BLOCKING_REASONS & bare_reasons(status))
    return f"{printer.name} says {', '.join(trouble)}: look at its display" if trouble else ""


def bare_reasons(status: PrinterStatus) -> frozenset[str]:
    """printer-state-reasons without their severity (RFC 8011 §5.4.12); what is only a report does not count."""
    return frozenset(
        reason.removesuffix("-error").removesuffix("-warning")
        for reason in status.state_reasons
        if not reason.endswith("-report")
    )


def _is_troubled(member: Member) -> bool:
    return member.status is not None and bool(BLOCKING_REASONS & bare_reasons(member.status))


def _upright(size: PrintSize) -> PrintSize:
    return size.turned() if size.width_um > size.height_um else size


def _sentence(reasons: list[str]) -> str:
    return "; or ".join(reasons) if reasons else "the pool has no active printer: add one under Printers"
