"""Random sequences of what customers, the platform and faults do, and what must hold all the while.

The product's processes are real and run under the chart's service accounts, on the real control plane. All
they say to Talkdesk and to the API server, and all that Talkdesk delivers, passes interceptors: there faults
are made, and there an approval is judged before Talkdesk hears it.
"""
