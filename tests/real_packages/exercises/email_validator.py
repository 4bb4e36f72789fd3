"""Check addresses, international ones as well."""

from email_validator import EmailNotValidError, validate_email


def exercise():
    found = validate_email("Ann@Bücher.example", check_deliverability=False, test_environment=True)
    refused = []
    for address in ("a@", "a b@c.de", "a@localhost"):
        try:
            validate_email(address, check_deliverability=False)
        except EmailNotValidError as error:
            refused.append(str(error))
    return [found.normalized, found.ascii_domain, refused]
