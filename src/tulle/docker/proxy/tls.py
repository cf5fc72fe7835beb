"""TLS between Docker clients on TCP and the proxy, asked for as Docker itself asks for it."""

import ssl

from tulle.docker.proxy.options import ProxyOptions
from tulle.errors import UserError


def server_context(options: ProxyOptions) -> ssl.SSLContext | None:
    """How clients on TCP are talked to; None: in plain text. Raises UserError for files that will not do.

    A certificate alone asks for TLS, as does ``--tls``; ``--tlsverify`` has the clients show theirs.
    """
    if not (options.tls or options.tlsverify or options.tlscert):
        return None
    if not (options.tlscert and options.tlskey):
        raise UserError("the Docker API proxy needs --tlscert and --tlskey for TLS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tlscert, options.tlskey)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"{options.tlscert} and {options.tlskey} cannot be used for TLS: {error}") from None
    if options.tlsverify:
        if not options.tlscacert:
            raise UserError("--tlsverify needs --tlscacert, the CA that has signed the clients' certificates")
        try:
            context.load_verify_locations(options.tlscacert)
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"{options.tlscacert} is not a CA's certificate: {error}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
