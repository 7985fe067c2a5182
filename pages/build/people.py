"""People: who may do what, whose a data set is, and who did what."""

import pandas as pd
import streamlit as st

from llmrec_core.access import FILE, ROLES
from llmrec_core.language import t
from pages.shared import access, records, tables, widgets

widgets.heading(
    t("People"),
    t("Who may do what, whose each data set is, and who did what. Roles stand in a file."),
)
rules = access.rules()
if rules.login is None:
    st.info(
        t(
            "Nobody logs in here, so these pages answer this machine alone. To let others in, put "
            "[login] and [roles] into {file} of the home, then: `python -m llmrec_core up --host "
            "0.0.0.0`",
            file=FILE,
        )
    )
st.header(t("Roles"))
roles = pd.DataFrame(
    [(name, role) for name, role in sorted(rules.roles.items())],
    columns=[t("Who"), t("Role")],
)
tables.table(roles, "people_roles", "roles.csv")
widgets.caption(
    t(
        "Roles are {roles}, each with what the ones before it may; they are changed in {file} of "
        "the home and hold from the next click on.",
        roles=", ".join(ROLES),
        file=FILE,
    )
)
st.header(t("Data sets with an owner"))
ledger = records.ledger()
owners = pd.DataFrame(
    [
        (owner.name, owner.owner, t("everybody") if owner.shared else t("the owner"))
        for owner in ledger.owners().values()
    ],
    columns=[t("Data set"), t("Owner"), t("Seen by")],
)
tables.table(owners, "people_owners", "owners.csv")
st.header(t("Actions"))
actions = pd.DataFrame(
    [
        (row.time, row.person, row.action, row.subject, t("yes") if row.allowed else t("refused"))
        for row in ledger.actions()
    ],
    columns=[t("When"), t("Who"), t("Did"), t("What to"), t("Allowed")],
)
tables.table(actions, "people_actions", "actions.csv")
