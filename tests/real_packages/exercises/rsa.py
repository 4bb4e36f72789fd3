"""Sign and verify, encrypt and decrypt with a small key."""

import rsa


def exercise():
    public, private = rsa.newkeys(512)
    signature = rsa.sign(b"text", private, "SHA-256")
    secret = rsa.encrypt(b"hello", public)
    try:
        rsa.verify(b"other", signature, public)
    except rsa.VerificationError as error:
        refused = type(error).__name__
    loaded = rsa.PublicKey.load_pkcs1(public.save_pkcs1())
    return [rsa.verify(b"text", signature, public), rsa.decrypt(secret, private).decode(), refused, loaded == public]
