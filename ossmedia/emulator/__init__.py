"""The local cloud: OSS, STS and VOD on one loopback port, for tests and for trying things out.

What flows in: the requests of any OSS, STS or VOD client. What flows out: the answers the services
document. It never talks to Alibaba Cloud, and it imports nothing of the client, so that a mistake
must be made twice to pass.
"""
