"""Make a client from its service model, answer it with a stub, and sign an address."""

import botocore.session
from botocore.stub import Stubber


def exercise():
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    client = session.create_client("sts", region_name="eu-west-1")
    with Stubber(client) as stub:
        stub.add_response("get_caller_identity", {"Account": "123456789012"})
        stub.add_client_error("get_caller_identity", "AccessDenied")
        account = client.get_caller_identity()["Account"]
        try:
            client.get_caller_identity()
        except client.exceptions.ClientError as error:
            denied = error.response["Error"]["Code"]
    return [account, denied, client.meta.endpoint_url, sorted(client.meta.method_to_api_mapping)[:5]]
