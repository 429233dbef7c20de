"""The members page: list, invite, change a role, remove, withdraw an invitation."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints import mail
from blueprints.access import account_member, person
from blueprints.forms import add_errors
from blueprints.members.forms import ROLES, InviteForm
from errors import Conflict, InvalidRequest
from services.accounts import invitations, memberships
from services.accounts.access import OpenAccount

blueprint = Blueprint("members", __name__, url_prefix="/home/<account>/members")


@blueprint.get("")
@account_member("viewer")
def show(account: OpenAccount) -> tuple[str, int]:
    """The page."""
    return _page(account, InviteForm(formdata=None), 200)


@blueprint.post("/invite")
@account_member("owner")
def invite(account: OpenAccount) -> Response | tuple[str, int]:
    """Invite somebody by mail."""
    form = InviteForm()
    if not form.validate():
        return _page(account, form, 422)
    visitor = person()
    try:
        issued = invitations.invite(
            account.id, form.email.data, form.role.data, actor=visitor.actor, created_by_id=visitor.user_id
        )
    except InvalidRequest as refusal:
        add_errors(form, refusal)
        return _page(account, form, 422)
    mail.send_invitation(issued, account.name, visitor.name or visitor.email, form.role.data)
    flash(_("An invitation is on its way to %(email)s.", email=issued.email), "success")
    return redirect(url_for("members.show", account=account.slug), 303)


@blueprint.post("/<rowid:membership_id>/role")
@account_member("owner")
def change_role(account: OpenAccount, membership_id: int) -> Response:
    """Give a member another role."""
    role = request.form.get("role", "")
    return _changed(
        account,
        lambda: memberships.change_role(account.id, membership_id, role, actor=person().actor),
        _("The role is changed. The person has to sign in again."),
    )


@blueprint.post("/<rowid:membership_id>/remove")
@account_member("owner")
def remove(account: OpenAccount, membership_id: int) -> Response:
    """Take a member out."""
    return _changed(
        account,
        lambda: memberships.remove_member(account.id, membership_id, actor=person().actor),
        _("The member is removed."),
    )


@blueprint.post("/invitations/<rowid:invitation_id>/cancel")
@account_member("owner")
def cancel_invitation(account: OpenAccount, invitation_id: int) -> Response:
    """Withdraw an invitation."""
    return _changed(
        account,
        lambda: invitations.cancel_invitation(account.id, invitation_id, actor=person().actor),
        _("The invitation is withdrawn."),
    )


def _changed(account: OpenAccount, operation: object, success: str) -> Response:
    try:
        operation()
    except (Conflict, InvalidRequest) as refusal:
        flash(_(refusal.detail), "danger")
    else:
        flash(success, "success")
    return redirect(url_for("members.show", account=account.slug), 303)


def _page(account: OpenAccount, form: InviteForm, status: int) -> tuple[str, int]:
    page = render_template(
        "members/show.html",
        account=account,
        members=memberships.members_of(account.id),
        invitations=invitations.pending_invitations(account.id),
        may_change=account.allows("owner"),
        form=form,
        roles=ROLES,
        confirming=request.args.get("confirm", ""),
    )
    return page, status
