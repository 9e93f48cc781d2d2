/** A page whose code did not come: the appliance is away, or serves another build since. Browsers do not ask twice. */
import { asked } from '../routes';

export function unloaded(): { readonly address: string } {
  let address = $state('');

  $effect(() => {
    const heard = () => (address = asked.address || location.href);
    addEventListener('vite:preloadError', heard);
    return () => removeEventListener('vite:preloadError', heard);
  });

  return {
    /** Where somebody wanted to go; empty where everything came. */
    get address() {
      return address;
    },
  };
}
