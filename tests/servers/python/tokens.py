# Verifies the relay's tokens with PyJWT, and makes some for it. Both are JSON, by algorithm: the one
# argument has `private` and `public` keys, `ours` and the `claims` to make; what is printed, `read` and
# `made`.
import json
import sys

import jwt

asked = json.loads(sys.argv[1])
read = {
    algorithm: jwt.decode(
        token,
        asked["public"][algorithm],
        algorithms=[algorithm],
        audience=asked["claims"]["aud"],
    )
    for algorithm, token in asked["ours"].items()
}
made = {
    algorithm: jwt.encode(asked["claims"], key, algorithm=algorithm)
    for algorithm, key in asked["private"].items()
}
print(json.dumps({"read": read, "made": made}))
