# tries: reads the host's keys from its own environment
# expect: finished

import os

breached = "OPENAI_API_KEY" in os.environ or canary[::-1] in str(dict(os.environ))
